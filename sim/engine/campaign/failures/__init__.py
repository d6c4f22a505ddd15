"""Failure processes, one file each: a class in this folder is found by its name."""

from typing import Any, Final

from sim.engine.campaign.failures.base import FailureProcess
from sim.fields import Registry

FAILURE_PROCESSES: Final = Registry[Any]("failure process", __name__, __path__)
"""Classes of `FailureProcess`; the fields of each are those of a request that it reads."""

__all__ = ["FAILURE_PROCESSES", "FailureProcess"]
