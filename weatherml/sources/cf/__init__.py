"""CF conventions, read leniently: which dimension is which, what the times, units and grid are.

`dimensions` roles; `times`; `units`; `grid`; `channels` what is a variable; `layout` one file, whole.
"""

from weatherml.sources.cf.channels import Channel as Channel
from weatherml.sources.cf.layout import Layout as Layout
from weatherml.sources.cf.layout import is_cf as is_cf
from weatherml.sources.cf.layout import is_input as is_input
from weatherml.sources.cf.layout import opened as opened
from weatherml.sources.cf.layout import read_layout as read_layout
