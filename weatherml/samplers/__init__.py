"""The family of samplers: one file a member, one import line each."""

from weatherml.samplers import ddim as ddim
from weatherml.samplers import ddpm as ddpm
from weatherml.samplers import dpm_solver_pp as dpm_solver_pp
from weatherml.samplers import euler as euler
from weatherml.samplers import heun as heun
from weatherml.samplers import heun_churn as heun_churn
from weatherml.samplers.base import SAMPLERS as SAMPLERS
