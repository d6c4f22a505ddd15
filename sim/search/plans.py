"""The fastest plan that fits, and why the others lose.

Memory first (most plans die there at no cost), then the closed form for all that fit, then the engine for the best of
them and for other placements of their ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Final

from sim.device.records import Accelerator
from sim.engine import Step, simulate_step
from sim.errors import Infeasible, InfeasibleError, InputError, Lever, Problem
from sim.network import Communicator
from sim.plan.groups import AXES
from sim.plan.records import DeviceMemory, Plan
from sim.plan.screen import Candidate, Limits, Screen, candidates
from sim.scenario import Scenario
from sim.workload.records import Model, Numerics

TIE: Final = 0.01  # plans closer than this are as good as each other: the model is not more exact
GIB: Final = 2.0**30


@dataclass(frozen=True, slots=True)
class Ranked:
    """A plan that was simulated; `why` says what it loses against the best (the first: what holds it back)."""

    plan: Plan
    memory: DeviceMemory
    step: Step
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search, best first; `fitting` of `considered` plans fit."""

    ranked: tuple[Ranked, ...]
    considered: int
    fitting: int

    @property
    def best(self) -> Plan:
        return self.ranked[0].plan


def search_plans(scenario: Scenario, model: Model, limits: Limits | None = None) -> Found:
    """The plans of a scenario, best first. Degrees the scenario sets above 1, and its sub-batch, are kept."""
    request = scenario.plan
    if request.global_batch is None:
        problem = Problem("a search needs the global batch: it is part of the question", "plan.global_batch", "nothing")
        raise InputError(problem)
    limits = limits or Limits(
        tensor=_fixed(request.tensor),
        pipeline=_fixed(request.pipeline),
        context=(request.context,),
        expert=_fixed(request.expert),
        sub_batch=(request.sub_batch,) if request.sub_batch else Limits().sub_batch,
        orders=(request.order,),
    )
    communicator = Communicator(scenario.cluster)
    return search(
        model, scenario.workload.numerics, scenario.accelerator, communicator, request.global_batch, limits
    )


def _fixed(degree: int) -> tuple[int, ...]:
    return (degree,) if degree > 1 else ()


def search(
    model: Model,
    numerics: Numerics,
    accelerator: Accelerator,
    communicator: Communicator,
    global_batch: int,
    limits: Limits = Limits(),
    simulated: int = 12,
) -> Found:
    """All plans of `model` on the communicator's cluster; InfeasibleError if none fits."""
    screen = Screen(model, numerics, accelerator, communicator)
    devices = communicator.cluster.devices
    every = list(screen.run(candidates(model, devices, global_batch, limits)))
    fitting = sorted((c for c in every if c.time_s is not None), key=lambda c: (c.time_s or 0.0, repr(c.plan)))
    if not fitting:
        raise InfeasibleError(_nothing_fits(every, devices))
    short = _distinct(fitting, simulated)
    steps = [(c, simulate_step(screen.prepared(c.plan), engine="simpy")) for c in short]
    steps += _placements(screen, min(steps, key=lambda item: item[1].time_s)[0])
    steps.sort(key=lambda item: item[1].time_s)
    best = steps[0][1]
    ranked = tuple(Ranked(c.plan, c.memory, step, _why(step, best)) for c, step in steps)
    return Found(ranked, len(every), len(fitting))


def _distinct(fitting: Sequence[Candidate], count: int) -> list[Candidate]:
    """The best of every set of degrees first, then the next best, so that one layout does not fill the list."""
    seen: set[tuple[int, ...]] = set()
    first: list[Candidate] = []
    rest: list[Candidate] = []
    for candidate in fitting:
        p = candidate.plan
        degrees = (p.data, p.tensor, p.pipeline, p.context, p.expert)
        (rest if degrees in seen else first).append(candidate)
        seen.add(degrees)
    chosen = [*first[: count - count // 3], *rest[: count // 3]]
    return chosen[:count] if len(chosen) >= count else [*first, *rest][:count]


def _placements(screen: Screen, best: Candidate) -> list[tuple[Candidate, Step]]:
    """The best plan with its ranks in every other order that keeps tensor ranks together or not."""
    wide = [axis for axis in AXES if getattr(best.plan, axis) > 1]
    orders = {tuple(o) + tuple(a for a in AXES if a not in wide) for o in permutations(wide)}
    now = tuple(a for a in best.plan.order if a in wide) + tuple(a for a in AXES if a not in wide)
    others = [replace(best.plan, order=order) for order in sorted(orders - {now})]
    return [(replace(best, plan=plan), simulate_step(screen.prepared(plan), engine="simpy")) for plan in others]


def _why(step: Step, best: Step) -> str:
    """What makes a step longer than the best one, largest first."""
    slower = step.time_s / best.time_s - 1.0
    if step is best:
        largest = max(_parts(step).items(), key=lambda item: item[1])
        return f"fastest; {largest[0]} takes {largest[1] / step.time_s:.0%} of the step"
    extra = {name: value - _parts(best)[name] for name, value in _parts(step).items()}
    name, value = max(extra.items(), key=lambda item: item[1])
    tie = "a tie; " if slower < TIE else f"{slower:+.1%}; "
    return f"{tie}{name} {value:+.3g} s" if value > 0.0 else f"{tie}no part stands out"


def _parts(step: Step) -> dict[str, float]:
    return {
        "compute": step.compute_s,
        "exposed communication": step.exposed_communication_s,
        "pipeline bubble": step.bubble_s,
    }


def _nothing_fits(every: Sequence[Candidate], devices: int) -> Infeasible:
    if not every:
        rule = f"no layout divides {devices} devices, the model and the batch"
        return Infeasible(rule, "all devices", 0.0, 0.0, (Lever("another global batch", "more layouts divide it"),))
    least = min(every, key=lambda c: c.memory.total_bytes / c.memory.capacity_bytes)
    need, have = least.memory.total_bytes, least.memory.capacity_bytes
    levers = (
        Lever(f"at least {need / have * devices:.0f} devices", "if the state is sharded over all of them"),
        Lever(f"devices with {need / GIB:.1f} GiB", "fits with the smallest plan found"),
    )
    statement = f"none of {len(every)} plans fits {devices} devices; the smallest needs {need / GIB:.1f} GiB"
    return Infeasible(statement, least.memory.name, need, have, levers)
