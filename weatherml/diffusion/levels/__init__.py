"""The family of laws of noise levels for training: one file a member, one import line each."""

from weatherml.diffusion.levels import log_normal as log_normal
from weatherml.diffusion.levels import log_uniform as log_uniform
from weatherml.diffusion.levels import sech as sech
from weatherml.diffusion.levels.base import LEVELS as LEVELS
