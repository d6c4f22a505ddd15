"""Failure processes, found by name."""

from typing import Final

from sim.engine.campaign.failures.base import FailureProcess
from sim.engine.campaign.failures.exponential import Exponential
from sim.engine.campaign.failures.infant_mortality import InfantMortality
from sim.engine.campaign.failures.weibull import Weibull

FAILURE_PROCESSES: Final[dict[str, type[Exponential] | type[Weibull] | type[InfantMortality]]] = {
    process.name: process for process in (Exponential, Weibull, InfantMortality)
}

__all__ = ["FAILURE_PROCESSES", "Exponential", "FailureProcess", "InfantMortality", "Weibull"]
