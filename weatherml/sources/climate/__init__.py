"""Scenarios of forcings and what a climate model made of them, as sequences.

`calendar` months of any calendar; `files` series from NetCDF and zarr; `tables` forcings from CSV; `variables` names
and units; `gather` one archive of them all, `reference` changes since a period, `scenarios`
how it becomes sequences; `base` the settings that all share.
"""

from weatherml.sources.climate.base import ClimateConfig as ClimateConfig
from weatherml.sources.climate.files import Course as Course
from weatherml.sources.climate.files import read_course as read_course
from weatherml.sources.climate.files import variables_in as variables_in
from weatherml.sources.climate.gather import gathered as gathered
from weatherml.sources.climate.scenarios import Archive as Archive
