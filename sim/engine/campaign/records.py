"""What the campaign engine runs (every time priced, in s) and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import IntEnum

from sim.engine.campaign.failures.base import FailureProcess
from sim.engine.campaign.progress import Pauses
from sim.engine.campaign.recovery.base import Recovery
from sim.engine.records import Slice
from sim.records import dataclass


class Blast(IntEnum):
    """How much one failure takes down at once."""

    DEVICE = 1
    NODE = 2
    RACK = 3
    POWER_DOMAIN = 4
    CLUSTER = 5


@dataclass(frozen=True, slots=True)
class Tier:
    """One place that keeps copies of the training state."""

    name: str
    every: float  # steps between copies
    pause_s: float  # all devices wait so long for each
    lag_s: float  # after the pause until the copy can be restored from
    restore_s: float
    survives: Blast  # the widest failure after which it is still there


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of equal steps."""

    name: str
    steps: float
    step_s: float  # with all devices
    tiers: tuple[Tier, ...] = ()
    evaluation: tuple[float, float] | None = None  # every so many steps, seconds

    @property
    def pauses(self) -> Pauses:
        """All that stops the devices at multiples of steps."""
        copies = tuple((tier.every, tier.pause_s) for tier in self.tiers if tier.pause_s > 0)
        return (*copies, self.evaluation) if self.evaluation else copies


@dataclass(frozen=True, slots=True)
class Source:
    """Components of one kind that fail: `count` of them, each with the mean time `mtbf_s` between failures."""

    component: str
    process: FailureProcess
    count: int
    mtbf_s: float
    nodes: int  # out of service after one failure
    blast: Blast
    slows: bool = False  # does not stop the training but slows it until found

    @property
    def rate(self) -> float:
        """Failures per second of all of them, in the long run."""
        return self.count / self.mtbf_s


@dataclass(frozen=True, slots=True)
class Work:
    """A campaign with every time known."""

    phases: tuple[Phase, ...]
    recovery: Recovery
    sources: tuple[Source, ...] = ()
    nodes: int = 1
    spares: int | None = None  # None: a replacement is always at hand
    repair_s: float = 0.0
    detect_s: float = 0.0
    restart_s: float = 0.0  # job start, communicators, warm-up; without reading the state
    startup_s: float = 0.0  # once, at the beginning
    maintenance: tuple[float, float] | None = None  # every so many seconds, seconds
    slow_factor: float = 1.0  # of a step while a node is slow
    slow_found_s: float = 0.0  # until it is found and replaced
    price: Callable[[int], float] | None = (
        None  # of elastic training: nodes at work → times as long a step takes; inf: not possible
    )

    @property
    def rate(self) -> float:
        """Failures per second that stop the training."""
        return sum(source.rate for source in self.sources if not source.slows)

    @property
    def ideal_s(self) -> float:
        """Nothing but steps, with all devices."""
        return sum(phase.steps * phase.step_s for phase in self.phases)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One campaign as it went (s). The parts add up to `wall_s`."""

    wall_s: float
    ideal_s: float  # steps that count
    startup_s: float
    checkpoint_s: float
    evaluation_s: float
    rework_s: float  # steps and pauses lost to failures
    restart_s: float  # detection, start, communicators, reading the state
    spare_wait_s: float  # for a node to come back from repair
    degraded_s: float  # steps on fewer nodes or beside a slow one
    maintenance_s: float
    failures: int
    stops: int  # planned: maintenance, slow nodes replaced, regrowth
    failures_by: Mapping[str, int]
    events: int
    spans: tuple[Slice, ...] = field(default=(), repr=False)  # with `trace`
    marks: tuple[tuple[float, float, int, int], ...] = field(default=(), repr=False)
    """With `trace`: moment, seconds of steps that count, failures and planned stops by then."""

    @property
    def goodput(self) -> float:
        """Useful time / wall time."""
        return self.ideal_s / self.wall_s if self.wall_s else 1.0


@dataclass(frozen=True, slots=True)
class Period:
    """A row of the calendar: a stretch of one campaign."""

    start_s: float
    end_s: float
    done: float  # share of all steps by its end
    failures: int
    stops: int


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """The campaign of a scenario (s): means over the seeds, the parts add up to `wall_s`; p05 to p95 over the seeds."""

    wall_s: float
    ideal_s: float
    p05_s: float
    p50_s: float
    p95_s: float
    goodput: float = 1.0
    goodput_p05: float = 1.0
    goodput_p95: float = 1.0
    failures: float = 0.0
    startup_s: float = 0.0
    checkpoint_s: float = 0.0
    evaluation_s: float = 0.0
    rework_s: float = 0.0
    restart_s: float = 0.0
    spare_wait_s: float = 0.0
    degraded_s: float = 0.0
    maintenance_s: float = 0.0
    seeds: int = 0  # 0: nothing but steps, nothing to simulate
    engine: str = "none"  # simpy, or numpy for policies it serves
    events: int = 0  # of the first seed
    input_stall_s: float | None = None  # in the steps, where an input pipeline is modelled
    waterfall: tuple[tuple[str, float], ...] = ()
    tiers: tuple[Tier, ...] = ()
    calendar: tuple[Period, ...] = ()
    intervals: tuple[tuple[str, float], ...] = ()  # between copies: as simulated, exact optimum, Young, Daly
    notes: tuple[str, ...] = ()  # what was taken for what the scenario does not say
    not_modelled: tuple[str, ...] = ()
    spans: tuple[Slice, ...] = field(default=(), repr=False)
