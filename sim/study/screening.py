"""Designs of one plan screened in columns: what `simulate` answers of each, without simulating it.

A screened design differs from its base in hardware properties alone (`sim.simulation.properties`). Its step is that of
`sim.search.hardware`; memory, rates, power and energy follow from it as in `sim.simulation`. What a campaign adds is
left to the simulation of the designs that are worth it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError, Problem
from sim.files import scenario_of
from sim.network import communicator_of
from sim.plan.energy import moved_energy
from sim.plan.expense import expenses, site_of
from sim.records import dataclass
from sim.result import Result
from sim.scenario import Known, Scenario, known
from sim.search.hardware import Hardware, HardwareScreen, Priced
from sim.simulation import simulate
from sim.simulation.goal import project_target
from sim.simulation.planning import model_of
from sim.simulation.power import LOWEST_CLOCK, TOLERANCE
from sim.simulation.properties import property_of, quantity_of
from sim.study.designs import Designs
from sim.study.metrics import METRICS
from sim.study.runner import Study
from sim.study.store import KEY_BYTES, Outcome

Floats = NDArray[np.float64]

SCREENED: Final = (
    "peak", "memory_bandwidth", "memory_capacity", "cache_bandwidth", "kernel_overhead", "link_bandwidth",
    "link_latency",
)  # fmt: skip
"""Properties a design may differ in: on the others (the cache's size) more depends than a rate."""


@dataclass(frozen=True, slots=True)
class Screened:
    """Columns by metric (None: not answered without a campaign), and by reason the designs that have no answer."""

    columns: Mapping[str, Floats | float | None]
    failed: Sequence[tuple[str, int, NDArray[np.bool_]]]  # reason, exit code, which designs


class DesignScreen:
    """One scenario's plan on many designs of its hardware.

    >>> screen = DesignScreen(load_scenario("paper/word-lm"))
    >>> screen.run({"peak": np.linspace(1.0, 4.0, 1000)}).columns["step_s"]
    """

    def __init__(self, scenario: Scenario) -> None:
        problems = list(_refused(scenario))
        if problems:
            raise InputError(*problems)
        self.scenario = scenario
        self.base: Result = simulate(_unbounded(scenario), levers=False)
        model = model_of(scenario, project_target(scenario))
        chip = replace(scenario.accelerator, clock=1.0)
        priced = Priced(model, scenario.workload.numerics, chip, communicator_of(scenario.cluster))
        self.screen = HardwareScreen(priced, self.base.plan)

    @property
    def exact(self) -> bool:
        """Whether steps are the engine's; else bounds below them."""
        return self.screen.exact

    def run(self, factors: Mapping[str, Floats]) -> Screened:
        """`factors` by property: of every design over the base."""
        hardware = Hardware(**{k: v for k, v in factors.items() if k != "memory_capacity"})
        step_s, kept, watts = self._within_power(hardware)
        held = self.base.fullest.total_bytes
        capacity = self.scenario.accelerator.memory.capacity_bytes * factors.get("memory_capacity", np.ones(1))
        lacks = np.broadcast_to(held > capacity, step_s.shape)
        hot = f"plan: cannot be kept within its power at a clock of {LOWEST_CLOCK:g} of the full one"
        failed = [
            (f"does not fit: the fullest device holds {held / 2**30:.4g} GiB", 3, lacks),
            (hot, 2, ~kept & ~lacks),
        ]
        return Screened(self._columns(step_s, hardware, watts), [item for item in failed if item[2].any()])

    def _columns(self, step_s: Floats, hardware: Hardware, watts: Floats | None) -> dict[str, Floats | float | None]:
        base, devices = self.base, self.base.devices
        goal = base.time_to_target
        target = goal.steps * step_s if goal is not None and self.scenario.campaign.empty else None
        rented = base.cost is not None and base.cost.device_hours is not None
        joules = None if watts is None or target is None else watts * devices * target
        columns: dict[str, Floats | float | None] = dict.fromkeys(METRICS)
        columns |= {
            "time_to_target_s": target,
            "step_s": step_s,
            "samples_per_s": base.plan.global_batch / step_s,
            "mfu": base.mfu * base.step.time_s / (step_s * hardware.peak),
            "memory_bytes": base.fullest.total_bytes,
            "device_power_w": watts,
            "energy_j": joules,
            "cost_usd": self._cost(target, joules) if target is not None and rented else None,
            "devices_usd": None if base.cost is None else base.cost.devices_usd,
            "device_hours": target / 3600.0 * devices if target is not None and rented else None,
            "devices": float(devices),
            "global_batch": float(base.plan.global_batch),
        }
        return columns

    def _cost(self, target: Any, joules: Any) -> Any:
        """USD to the target, as `sim.simulation.spending`."""
        prices, chip = self.scenario.campaign.prices, self.scenario.accelerator
        idle_w = chip.power.idle_w if chip.power else 0.0
        site = None if joules is None else site_of(prices, joules, idle_w, self.base.devices, 0.0).site_j
        return sum(expenses(prices, chip.price_usd, self.base.devices, target, site).values())

    def _within_power(self, hardware: Hardware) -> tuple[Floats, NDArray[np.bool_], Floats | None]:
        """(seconds, whether the power limit can be kept, mean power) at the highest clock that keeps it, as
        `sim.simulation.power` finds it."""
        power = self.scenario.accelerator.power
        step_s, watts = self._at(hardware)
        kept = np.ones(step_s.shape, dtype=bool)
        if power is None:
            return step_s, kept, None
        limit = min(power.peak_w, power.cap_w or power.peak_w)
        over = np.flatnonzero(watts > limit)
        if len(over):
            some = hardware.rows(over)
            low, high = np.full(len(over), LOWEST_CLOCK), np.ones(len(over))
            while np.any(wide := high - low > TOLERANCE):
                middle = (low + high) / 2
                fits = self._at(some.at_clock(middle))[1] <= limit
                low, high = np.where(wide & fits, middle, low), np.where(wide & ~fits, middle, high)
            step_s[over], watts[over] = self._at(some.at_clock(low))
            kept[over] = watts[over] <= limit
        return step_s, kept, watts

    def _at(self, hardware: Hardware) -> tuple[Floats, Floats]:
        """(seconds of a step, mean power of a device), the latter as `sim.simulation.power` has it."""
        seconds, cached = self.screen.step(hardware)
        kinds, power = self._moved, self.scenario.accelerator.power
        moved: Any = kinds["arithmetic"] * np.square(hardware.clock) + kinds["cache"] + kinds["memory"] + kinds["link"]
        running: Any = 0.0
        if power is not None:
            moved = moved + cached * power.cache_byte_j
            running = power.idle_w + power.busy_w * np.power(hardware.clock, 3)
        step_s = np.atleast_1d(seconds)
        return step_s, np.asarray(moved / step_s / self.base.devices + running)

    @cached_property
    def _moved(self) -> dict[str, float]:
        """J of a step of the base at full clock."""
        if self.scenario.accelerator.power is None:
            return dict.fromkeys(("arithmetic", "cache", "memory", "link"), 0.0)
        return moved_energy(self.screen.record, self.screen.base.chip)


def _unbounded(scenario: Scenario) -> Scenario:
    """The scenario on devices that hold its plan: whether a design does is screened."""
    memory = replace(scenario.accelerator.memory, capacity_bytes=2.0**60)
    return replace(scenario, accelerator=replace(scenario.accelerator, memory=memory))


def _refused(scenario: Scenario) -> Iterator[Problem]:
    """What of a scenario keeps its designs from being screened: all of it."""
    rule = "cannot be screened (without --screen it is simulated)"
    plan, training = scenario.plan, scenario.training
    if plan.search or plan.sub_batch is None or plan.global_batch is None or scenario.cluster_choices:
        hint = "state every degree, sub_batch and global_batch"
        yield Problem("a screened plan is fixed: it is the same for every design", "plan", hint=hint)
    for path, given in (
        ("training.input", training.input), ("training.slow_devices", training.slow_devices),
        ("training.jitter", training.jitter), ("training.compute_s", training.compute_s),
        ("speedups", scenario.speedups),
    ):  # fmt: skip
        if given:
            yield Problem(rule, path)


def notes(study: Study) -> list[str]:
    """What the figures of a screened study leave out."""
    screen = _screen(study.scenario, study.sets)
    found = []
    if not screen.exact:
        found.append("step_s is a bound: what passes of a pipeline lose to collectives beside them is left out")
    if screen.base.time_to_target is not None and not screen.scenario.campaign.empty:
        found.append("time_to_target_s, energy_j and device_hours need the campaign: simulate the designs worth it")
    return found


def _screen(scenario: str | Scenario, sets: tuple[str, ...]) -> DesignScreen:
    """Read anew for every chunk of designs: its file may have changed since another study."""
    return _known(known(scenario_of(scenario, sets)))


@lru_cache(maxsize=2)
def _known(base: Known) -> DesignScreen:
    return DesignScreen(base.scenario)


def rows(
    scenario: str | Scenario, sets: tuple[str, ...], designs: Designs, seed: int, numbers: Sequence[int]
) -> list[Outcome]:
    """Designs of a study, by their numbers."""
    screen = _screen(scenario, sets)
    factors = _factors(screen.scenario, designs, np.asarray(numbers))
    found = screen.run(factors)
    count = len(numbers)
    columns = [_listed(found.columns[name], count) for name in METRICS]
    start = blake2b(f"{seed} screened {screen.scenario!r} {list(factors)}".encode(), digest_size=KEY_BYTES)
    keys = (_key(start, design.tobytes()) for design in np.column_stack(list(factors.values())))
    made = list(map(Outcome, numbers, keys, zip(*columns, strict=True)))
    for reason, code, which in found.failed:
        for place in np.flatnonzero(np.broadcast_to(which, count)).tolist():
            made[place] = replace(made[place], metrics=(None,) * len(METRICS), reason=reason, code=code)
    return made


def _listed(column: Floats | float | None, count: int) -> list[float | None]:
    if column is None or isinstance(column, float):
        return [column] * count
    return list(np.broadcast_to(column, count).tolist())


def _key(start: Any, design: bytes) -> bytes:
    made = start.copy()
    made.update(design)
    digest: bytes = made.digest()
    return digest


def _factors(scenario: Scenario, designs: Designs, numbers: NDArray[np.intp]) -> dict[str, Floats]:
    """Of every property that is an axis, over the scenario's own."""
    problems = [
        Problem("cannot be screened: no rate of the hardware", f"study.axes.{axis.path}", hint=", ".join(SCREENED))
        for axis in designs.axes
        if axis.path not in SCREENED
    ]
    if problems:
        raise InputError(*problems)
    factors: dict[str, Floats] = {}
    for axis, places in zip(designs.axes, designs.places(numbers), strict=True):
        prop = property_of(axis.path)
        have = prop.value(scenario)
        if have is None:
            raise InputError(Problem("is no limit of this scenario", f"study.axes.{axis.path}"))
        if places is None:
            values = [quantity_of(prop, designs[number][len(factors)]) for number in numbers.tolist()]
            factors[axis.path] = np.array(values) / have
        else:
            factors[axis.path] = np.array([quantity_of(prop, value) for value in axis.points])[places] / have
    return factors
