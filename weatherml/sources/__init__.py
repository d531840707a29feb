"""The family of sources: one file a member, one import line each."""

from weatherml.sources import hrrr as hrrr
from weatherml.sources import netcdf as netcdf
from weatherml.sources import synthetic as synthetic
from weatherml.sources.base import SOURCES as SOURCES
