"""Collective algorithms, one file each: a class in this folder is found by its name."""

from typing import Final

from sim.fields import Registry
from sim.network.algorithms.base import Algorithm, Case

ALGORITHMS: Final = Registry[type[Algorithm]]("algorithm", __name__, __path__)


def refusal(name: str, case: Case) -> str:
    """Why the algorithm cannot serve this collective on this group; "" if it can."""
    algorithm = ALGORITHMS[name]
    if case.kind not in algorithm.kinds:
        return f"does not do {case.kind}"
    return algorithm.needs(case) or algorithm.refusal(case)
