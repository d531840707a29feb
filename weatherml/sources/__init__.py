"""The family of sources: one file a member, one import line each."""

from weatherml.sources import climatebench as climatebench
from weatherml.sources import cmip as cmip
from weatherml.sources import cse151b as cse151b
from weatherml.sources import hrrr as hrrr
from weatherml.sources import hrrrzarr as hrrrzarr
from weatherml.sources import netcdf as netcdf
from weatherml.sources import patches as patches
from weatherml.sources import synthetic as synthetic
from weatherml.sources import table as table
from weatherml.sources.base import SOURCES as SOURCES
