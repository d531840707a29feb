"""The page of the quality report in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.report.browser import checked_rows, chromium
from weatherml.data.packing import unpack
from weatherml.data.quality_page.page import PAGE
from weatherml.data.store import open_dataset

browser = pytest.fixture(chromium, scope="module")


def test_the_page_is_sound_and_gives_its_numbers(browser: Any, small_dataset: Path) -> None:
    rows = checked_rows(browser, small_dataset / PAGE, "#t2m figure[data-export^=smallest]")
    assert [row["time (UTC)"] for row in rows] == ["2024-06-01", "2024-06-02", "2024-06-03"]
    dataset = open_dataset(small_dataset)
    packed = dataset.read(slice(None), "t2m")
    hours = unpack(packed, dataset.packings[dataset.names.index("t2m")]).reshape(3, 24, -1)
    expected = {"low": hours.min((1, 2)), "2 m temperature (K)": hours.mean((1, 2)), "high": hours.max((1, 2))}
    for column, values in expected.items():
        np.testing.assert_allclose([float(row[column]) for row in rows], values, rtol=1e-5)  # six figures are written
