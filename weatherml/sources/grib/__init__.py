"""GRIB2: headers are read and checked in pure Python, payloads are decoded by eccodes.

GRIB has no checksum, and a flipped header bit can crash a native decoder. So a scan touches headers
only, seeks over the payloads, and never calls eccodes; `decode` alone does, on one checked message.
Octets are numbered from 1, as in the WMO Manual on Codes (FM 92, GRIB edition 2).

`octets` integers; `message` the framing; `headers` what a field is; `grid` where it lies; `decode` its
values; `index` which of them local files offer at each time, `sidecar` and `archive` which a bucket does; `table`
their places; `variable` what is asked for; `opening` puts it together to a `source` that is read.
"""

from weatherml.sources.grib.archive import RemoteFile as RemoteFile
from weatherml.sources.grib.decode import decode as decode
from weatherml.sources.grib.grid import grid_of as grid_of
from weatherml.sources.grib.grid import relative_to_grid as relative_to_grid
from weatherml.sources.grib.headers import INSTANT as INSTANT
from weatherml.sources.grib.headers import KEYS as KEYS
from weatherml.sources.grib.headers import Field as Field
from weatherml.sources.grib.headers import Keys as Keys
from weatherml.sources.grib.index import ScannedFile as ScannedFile
from weatherml.sources.grib.index import at_lead as at_lead
from weatherml.sources.grib.index import scan_file as scan_file
from weatherml.sources.grib.message import extract as extract
from weatherml.sources.grib.message import is_grib as is_grib
from weatherml.sources.grib.message import scan as scan
from weatherml.sources.grib.octets import GribError as GribError
from weatherml.sources.grib.opening import Wanted as Wanted
from weatherml.sources.grib.opening import open_bucket as open_bucket
from weatherml.sources.grib.opening import open_files as open_files
from weatherml.sources.grib.sidecar import choose as choose
from weatherml.sources.grib.sidecar import parse_sidecar as parse_sidecar
from weatherml.sources.grib.source import GribSource as GribSource
from weatherml.sources.grib.source import StaticField as StaticField
from weatherml.sources.grib.variable import GribVariable as GribVariable
