"""The family of baselines: one file a member, one import line each."""

from weatherml.verify.baselines import climatological_ensemble as climatological_ensemble
from weatherml.verify.baselines import climatology as climatology
from weatherml.verify.baselines import optical_flow as optical_flow
from weatherml.verify.baselines import oracle as oracle
from weatherml.verify.baselines import persistence as persistence
from weatherml.verify.baselines import steps as steps
from weatherml.verify.baselines.base import BASELINES as BASELINES
