"""Fixtures of the tests of datasets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from weatherml.data.child import spared


@pytest.fixture(scope="session", autouse=True)
def _one_decoder() -> Iterator[None]:
    """NetCDF files are read in one process for all tests: starting one for each takes minutes."""
    with spared():
        yield
