"""What a study states and none of its designs reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sim.errors import ForetrainError, Problem
from sim.files import build, load_document
from sim.files.idle import idle_fields
from sim.scenario import Scenario
from sim.study.runner import Study

LOOKED_AT: Final = 16  # designs, spread over the space; without a field idle in the first there is one
_GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0


def idle_in(study: Study) -> tuple[Problem, ...]:
    """Advice on every field that none of the designs looked at reads, an axis among them."""
    if isinstance(study.scenario, Scenario):
        return ()
    found: dict[str, Problem] | None = None
    for number in _spread(len(study.designs)):
        try:
            document = load_document(study.scenario, study.overrides(number))
            idle = {problem.path: problem for problem in idle_fields(document, build(document))}
        except ForetrainError:  # a design without a result is a row with its reason
            continue
        found = idle if found is None else {path: problem for path, problem in found.items() if path in idle}
        if not found:
            break
    axes = {axis.path for axis in study.designs.axes}
    return tuple(replace(p, file="--axis", line=0, value="") if p.path in axes else p for p in (found or {}).values())


def _spread(designs: int) -> Iterator[int]:
    """Numbers of designs, each as far from the others as may be (multiples of the golden section)."""
    return iter(dict.fromkeys(int(designs * (k * _GOLDEN % 1.0)) for k in range(LOOKED_AT)))
