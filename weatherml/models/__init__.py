"""The family of models: one file a member, one import line each."""

from weatherml.models import cnn_convlstm as cnn_convlstm
from weatherml.models import convlstm as convlstm
from weatherml.models import convlstm_segmenter as convlstm_segmenter
from weatherml.models import crps as crps
from weatherml.models import ddpm as ddpm
from weatherml.models import edm as edm
from weatherml.models import pattern_scaling as pattern_scaling
from weatherml.models import persistence as persistence
from weatherml.models import simple_cnn as simple_cnn
from weatherml.models import unet as unet
from weatherml.models import unet_residual as unet_residual
from weatherml.models.base import MODELS as MODELS
