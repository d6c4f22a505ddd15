"""The answers of a design: at once, with the plan its unscaled hardware has; then whole, by SimPy.

At once the plan is kept and the step is the recursion's, which equals SimPy's; only the search for a plan is left out.
What is kept between questions is what a plan was chosen for, by the scenario itself: the same for every page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from sim.app.design import Asked, ask, turned
from sim.app.state import Design
from sim.errors import ForetrainError
from sim.files import locating
from sim.plan import Plan
from sim.result import Result
from sim.scenario import Known, Scenario, known
from sim.simulation import simulate
from sim.simulation.properties import Property
from sim.study.compare import Case, Comparison, on_chip
from sim.study.dossier import Dossier, bare, kept_plan
from sim.study.sensitivity import Sensitivity, sensitivity

MOST_PLANS: Final = 256


@lru_cache(maxsize=MOST_PLANS)
def _chosen(asked: Known) -> tuple[Plan, str]:
    found = simulate(asked.scenario, engine="recursion", levers=False)
    return found.plan, found.shape


def chosen_plan(scenario: Scenario) -> tuple[Plan, str]:
    """The plan of a scenario and the shape of its devices, searched or filled in where it leaves them open."""
    return _chosen(known(scenario))


def at_once(asked: Asked) -> Result:
    """The answer for the plan of the unscaled hardware: no search, no levers, no bands."""
    fixed = _fixed(asked.scenario, *chosen_plan(asked.unscaled))
    with locating(asked.document):
        return simulate(fixed, engine="recursion", levers=False)


def confirmed(asked: Asked) -> Dossier:
    """The answer by SimPy, with the plan chosen anew, levers, bands and the timeline of a step."""
    with locating(asked.document):
        return bare(asked.document, asked.scenario, simulate(asked.scenario, trace=True))


def worth(asked: Asked, metric: str) -> Sensitivity:
    """The elasticity of the metric in every hardware property, the plan kept, each turned as its slider turns it."""
    plan, shape = chosen_plan(asked.unscaled)

    def scaled(prop: Property, factor: float) -> Scenario:
        return _fixed(ask(turned(asked.design, prop.name, factor)).scenario, plan, shape)

    return sensitivity(_fixed(asked.scenario, plan, shape), metric, engine="recursion", turned=scaled)


def compared(designs: Mapping[str, Design]) -> Comparison:
    """Designs side by side, at once."""
    return Comparison(tuple(_case(label, design) for label, design in designs.items()))


def on_chips(design: Design) -> Comparison:
    """A design beside the same on other accelerators, these as their files say."""
    plain = replace(design, also=(), scale={name: f for name, f in design.scale.items() if name.startswith("link")})
    others = {chip: replace(plain, sets=on_chip(chip, design.sets)) for chip in design.also}
    return compared({"as designed": replace(design, also=())} | others)


def _case(label: str, design: Design) -> Case:
    try:
        return Case(label, at_once(ask(design)))
    except ForetrainError as error:
        return Case(label, None, error)


def _fixed(scenario: Scenario, plan: Plan, shape: str) -> Scenario:
    """The scenario with that plan, on the part of the cluster it is for."""
    scenario = scenario.on_part(plan.devices, shape)
    request = replace(kept_plan(scenario.plan, plan), global_batch=plan.global_batch)
    return replace(scenario, plan=request)
