"""Zarr version 2 as archives hold it, read chunk by chunk and checked before anything is decoded.

`archive` where the bytes lie; `array` what they mean; `box` the part of a field that is wanted; `fields` reading it.
"""

from weatherml.sources.zarr2.archive import Archive as Archive
from weatherml.sources.zarr2.archive import open_archive as open_archive
from weatherml.sources.zarr2.array import METADATA as METADATA
from weatherml.sources.zarr2.array import MOST_METADATA as MOST_METADATA
from weatherml.sources.zarr2.array import stored_array as stored_array
from weatherml.sources.zarr2.box import Box as Box
from weatherml.sources.zarr2.fields import read_fields as read_fields
