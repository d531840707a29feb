"""The family of losses: one file a member, one import line each."""

from weatherml.losses import binary_focal as binary_focal
from weatherml.losses import combined as combined
from weatherml.losses import crps as crps
from weatherml.losses import exceedance as exceedance
from weatherml.losses import focal as focal
from weatherml.losses import gradient as gradient
from weatherml.losses import l1 as l1
from weatherml.losses import mse as mse
from weatherml.losses import spectral as spectral
from weatherml.losses import weather as weather
from weatherml.losses.base import LOSSES as LOSSES
