"""The fastest plan that fits, and why the others lose.

Memory first (most plans die there at no cost), then a lower bound for all that fit, then the time of each in the order
of their bounds until the next bound is no better than the best time: no plan left out can be faster. Steps of the best
and of other placements of their ranks come from the recursion, that of the very best from SimPy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from heapq import heapify, heappop, heappush
from itertools import permutations
from typing import Final

from sim.device.records import Accelerator
from sim.engine import Step, simulate_step
from sim.errors import Infeasible, InfeasibleError, InputError, Lever
from sim.network import Communicator
from sim.plan.candidates import Limits, Variant, candidates, layouts
from sim.plan.feasible import FITS, infeasible
from sim.plan.records import AXES, DEGREES, DeviceMemory, Plan, Sharding
from sim.records import dataclass
from sim.search.columns import Candidate
from sim.search.screen import Screen, Worth
from sim.workload.records import Model, Numerics, Recompute

TIE: Final = 0.01  # plans closer than this are as good as each other: the model is not more exact
PLACEMENTS: Final = 4  # orders of the ranks of the best plan that are simulated
UNTOLD: Final[tuple[tuple[int, ...], tuple[str, ...]]] = (), ()  # before every key of a plan
MOST_TIMES: Final = 64  # times the devices that are tried when nothing fits
GIB: Final = 2.0**30


@dataclass(frozen=True, slots=True)
class Ranked:
    """A plan and its step; `why` says what it loses against the best (the first: what holds it back)."""

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
    kept: Mapping[str, object] = field(default_factory=dict)  # what of a plan was not searched: its value

    @property
    def best(self) -> Plan:
        return self.ranked[0].plan


def search(
    model: Model,
    numerics: Numerics,
    accelerator: Accelerator,
    communicator: Communicator,
    global_batch: int,
    limits: Limits = Limits(),
    simulated: int = 12,
    worth: Worth | None = None,
) -> Found:
    """All plans of `model` on the communicator's cluster, the least `worth` of a step first (by its time where there is
    none); InfeasibleError if none fits."""
    screen = Screen(model, numerics, accelerator, communicator, worth)
    devices = communicator.cluster.devices
    every = list(screen.run(layouts(model, devices, global_batch, limits), tight=worth is not None))
    fitting = [c for c in every if c.least_s is not None]
    short = _shortlist(screen, fitting, simulated)
    if not short:
        if screen.refused is not None:  # nothing can be priced: a format the device lacks, not a matter of the plan
            raise screen.refused
        raise InfeasibleError(_nothing_fits(screen, every, devices, global_batch, limits))
    steps = [(plan, screen.step(plan)) for plan in short]
    if not limits.orders:
        steps += _placements(screen, min(steps, key=lambda item: screen.worth(item[0], item[1].time_s))[0])
    steps.sort(key=lambda item: (screen.worth(item[0], item[1].time_s), _means(item[0])))
    steps[0] = (steps[0][0], simulate_step(screen.record(steps[0][0]), "simpy"))
    best = steps[0][1]
    first = "fastest" if worth is None else "best"
    ranked = tuple(Ranked(plan, screen.memory(plan), step, _why(step, best, first)) for plan, step in steps)
    return Found(ranked, len(every), len(fitting), _kept(limits))


SEARCHED: Final = (*DEGREES, "sub_batch", "global_batch", "sequence_parallel", "virtual_stages", "sharding")


def _kept(limits: Limits) -> dict[str, object]:
    """The fields of a plan that all candidates share, as they were given or by default."""
    varied = {*SEARCHED, "recompute", "order"}
    return {f.name: getattr(limits.base, f.name) for f in fields(Plan) if f.name not in varied}


def _means(plan: Plan, variant: Variant | None = None) -> tuple[int, ...]:
    """How much a plan (or a variant of its degrees) makes use of; of equally fast ones the plainest comes first."""
    varied = variant or plan
    return (
        tuple(Recompute).index(varied.recompute),
        tuple(Sharding).index(varied.sharding),
        varied.virtual_stages,
        sum(getattr(plan, axis) > 1 for axis in DEGREES),
    )


def _shortlist(screen: Screen, fitting: Sequence[Candidate], count: int) -> list[Plan]:
    """The best plans, of which only those are computed in full whose bound lies below the best so far."""
    best = float("inf")
    known: list[tuple[float, Plan]] = []
    for least, plan in _by_bound(screen, fitting):
        if least > best and len(known) >= count:
            break
        worth = screen.worth(plan)
        known.append((worth, plan))
        best = min(best, worth)
    known.sort(key=lambda item: (item[0], _means(item[1]), repr(item[1])))
    return _distinct([plan for _, plan in known], count)


def _by_bound(screen: Screen, fitting: Sequence[Candidate]) -> Iterator[tuple[float, Plan]]:
    """Plans by their bounds, or exactly where their times are known in closed form; the plainest of equals first.

    Messages and transfers are priced of those alone whose kernels take no longer than the plans before them.
    """
    heap = [(screen.least(c), *(_key(c) if c.row is None else UNTOLD), k) for k, c in enumerate(fitting)]
    heapify(heap)
    timed: set[int] = set()
    while heap:
        least, means, names, k = heappop(heap)
        if not names:
            tight = screen.tighter(fitting[k])
            if tight is not None:
                heappush(heap, (tight, *_key(fitting[k]), k))
            continue
        plan = fitting[k].plan
        if k not in timed and plan.pipeline * plan.virtual_stages == 1:
            timed.add(k)
            time_s = screen.exact(plan)
            exact = least if time_s is None else screen.worth(plan, time_s)
            if exact > least:
                heappush(heap, (exact, means, names, k))
                continue
        yield least, plan


def _key(candidate: Candidate) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """`_means` of the plan, and its remaining degrees in the order of `repr`."""
    layout, variant = candidate.layout, candidate.variant
    degrees = (*(getattr(layout, axis) for axis in DEGREES), layout.sequence_parallel)
    return _means(layout, variant), (str(variant.sub_batch), *map(str, degrees))


def _distinct(fitting: Sequence[Plan], count: int) -> list[Plan]:
    """The best of every set of degrees first, then the next best, so that one layout does not fill the list."""
    seen: set[tuple[int, ...]] = set()
    first: list[Plan] = []
    rest: list[Plan] = []
    for p in fitting:
        degrees = tuple(getattr(p, axis) for axis in DEGREES)
        (rest if degrees in seen else first).append(p)
        seen.add(degrees)
    chosen = [*first[: count - count // 3], *rest[: count // 3]]
    return chosen[:count] if len(chosen) >= count else [*first, *rest][:count]


def _placements(screen: Screen, best: Plan) -> list[tuple[Plan, Step]]:
    """The best plan with its ranks in the `PLACEMENTS` fastest other orders."""
    wide = [axis for axis in AXES if getattr(best, axis) > 1]
    rest = tuple(axis for axis in AXES if axis not in wide)
    now = tuple(axis for axis in best.order if axis in wide)
    plans = [replace(best, order=(*order, *rest)) for order in permutations(wide) if order != now]
    plans.sort(key=lambda plan: (screen.time(plan), plan.order))
    return [(plan, screen.step(plan)) for plan in plans[:PLACEMENTS]]


def _why(step: Step, best: Step, first: str) -> str:
    """What makes a step longer than the best one, largest first; that one is `first`."""
    slower = step.time_s / best.time_s - 1.0
    if step is best:
        largest = max(_parts(step).items(), key=lambda item: item[1])
        return f"{first}; {largest[0]} takes {largest[1] / step.time_s:.0%} of the step"
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


def _nothing_fits(
    screen: Screen, every: Sequence[Candidate], devices: int, global_batch: int, limits: Limits
) -> Infeasible:
    """The plan that comes closest, and what would make one fit: changes of it, more devices, larger devices."""
    if not every:
        rule = f"no layout divides {devices} devices, the model and a global batch of {global_batch} as asked"
        return Infeasible(rule, "all devices", 0.0, 0.0, _other_sizes(screen, devices, global_batch, limits))
    least = min(every, key=lambda c: c.needed_bytes / c.capacity_bytes)
    need, have = least.needed_bytes, least.capacity_bytes
    statement = (
        f"none of {len(every):,} plans fits {devices:,} devices; the smallest needs {need / GIB:.1f} GiB "
        f"and has {have / GIB:.1f} GiB ({described(least.plan)})"
    )
    single = infeasible(screen.pricer.model, least.plan, screen.numerics, screen.pricer.accelerator).levers
    levers = [lever for lever in single if lever.note == FITS]
    levers += _more_devices(screen, devices, global_batch, limits)
    levers.append(
        Lever(f"devices with at least {need / GIB:.1f} GiB of memory", need, "memory_bytes", "fits, as planned")
    )
    return Infeasible(statement, screen.memory(least.plan).name, need, have, tuple(levers))


def described(plan: Plan) -> str:
    """The degrees of a plan and what saves memory in it."""
    degrees = [f"{axis} {getattr(plan, axis)}" for axis in DEGREES if getattr(plan, axis) > 1]
    degrees += [f"{plan.sharding} sharded"] * (plan.sharding != Sharding.NONE)
    degrees += [f"{plan.recompute} recompute"] * (plan.recompute != Recompute.NONE)
    return ", ".join([*degrees, f"sub-batch {plan.sub_batch}"])


def _more_devices(screen: Screen, devices: int, global_batch: int, limits: Limits) -> list[Lever]:
    """The fewest devices, doubling, on which some plan fits; the global batch stays."""
    lean = replace(limits, data=(), sub_batch=limits.sub_batch or (1,), recompute=limits.recompute[-1:])
    lean = replace(lean, virtual_stages=limits.virtual_stages[:1])
    times = 2
    while times <= MOST_TIMES:
        for plan in candidates(screen.pricer.model, devices * times, global_batch, lean):
            try:
                fits = screen.memory(plan).fits
            except InputError:
                continue
            if fits:
                return [Lever(f"{devices * times:,} devices", note=f"fits ({described(plan)})")]
        times *= 2
    return []


def _other_sizes(screen: Screen, devices: int, global_batch: int, limits: Limits) -> tuple[Lever, ...]:
    """Global batches near the one asked for that some layout divides."""
    near = sorted({-(-global_batch // n) * n for n in (2, 4, 8, 16, 32, 64, devices)} - {global_batch})
    for batch in near:
        plan = next(candidates(screen.pricer.model, devices, batch, limits), None)
        if plan is not None:
            return (Lever(f"global_batch: {batch}", note=f"{described(plan)} divides it"),)
    return (Lever("leave more of the plan's degrees empty", note="the search chooses them"),)
