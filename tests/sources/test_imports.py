"""Every process that prepares imports the sources: they load nothing heavy before it is used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"pandas", "scipy", "torch", "xarray", "pyproj", "eccodes", "obstore", "sklearn"}


def test_the_sources_load_no_heavy_library() -> None:
    code = "import sys, weatherml.sources.hrrr; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "weatherml.sources.hrrr" in loaded
    assert HEAVY.isdisjoint(loaded)
