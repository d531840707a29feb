"""The family of metrics: one file a member, one import line each."""

from weatherml.metrics import anomaly_correlation as anomaly_correlation
from weatherml.metrics import bias as bias
from weatherml.metrics import brier as brier
from weatherml.metrics import brier_skill as brier_skill
from weatherml.metrics import crps as crps
from weatherml.metrics import csi as csi
from weatherml.metrics import ets as ets
from weatherml.metrics import fair_brier as fair_brier
from weatherml.metrics import far as far
from weatherml.metrics import frequency_bias as frequency_bias
from weatherml.metrics import fss as fss
from weatherml.metrics import hss as hss
from weatherml.metrics import log_spectral_distance as log_spectral_distance
from weatherml.metrics import mae as mae
from weatherml.metrics import nep_brier as nep_brier
from weatherml.metrics import nmep_brier as nmep_brier
from weatherml.metrics import object_count_ratio as object_count_ratio
from weatherml.metrics import object_size_ratio as object_size_ratio
from weatherml.metrics import pod as pod
from weatherml.metrics import rank_histogram as rank_histogram
from weatherml.metrics import rmse as rmse
from weatherml.metrics import roc_auc as roc_auc
from weatherml.metrics import spread_activity_correlation as spread_activity_correlation
from weatherml.metrics import spread_error_correlation as spread_error_correlation
from weatherml.metrics import spread_skill_ratio as spread_skill_ratio
from weatherml.metrics.base import METRICS as METRICS
