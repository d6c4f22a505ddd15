"""The `campaign` part of a scenario: what happens between the first step and the target, as asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from itertools import pairwise
from typing import Final, Literal

from sim.engine.campaign.checkpoints import CHECKPOINT_POLICIES
from sim.engine.campaign.failures import FAILURE_PROCESSES
from sim.engine.campaign.recovery import RECOVERIES
from sim.errors import Problem
from sim.fields import Record, about
from sim.plan.expense import Prices
from sim.records import dataclass

FORWARD_SHARE: Final = 1.0 / 3.0
"""Of the computation of a step: backward costs twice the forward pass (one product for each of two gradients)."""


@dataclass(frozen=True, slots=True)
class FailureRequest(Record):
    """Components of one kind that fail, or slow down."""

    component: Literal["device", "node", "link", "switch", "rack", "power_domain"] = field(
        default="device", metadata=about("what fails; links and devices take their node along, the rest all below it")
    )
    mtbf_s: float | None = field(
        default=None, metadata=about("mean time between failures of one component; empty: the accelerator's", gt=0)
    )
    count: int | None = field(
        default=None, metadata=about("how many there are; empty: as many as the plan's nodes need", ge=1)
    )
    process: str = field(
        default="exponential", metadata=about("how failures arrive") | {"choices": tuple(FAILURE_PROCESSES)}
    )
    shape: float | None = field(
        default=None, metadata=about("of the Weibull distribution of lives; below 1 the hazard falls", gt=0.1)
    )
    early_factor: float | None = field(
        default=None,
        metadata=about("infant mortality: hazard at the beginning, relative to that of the mtbf", ge=1),
    )
    burn_in_s: float | None = field(
        default=None, metadata=about("infant mortality: time in which the excess falls to 1/e", gt=0)
    )
    slow_factor: float | None = field(
        default=None,
        metadata=about("the component does not stop but slows every step so many times; empty: it stops", gt=1),
    )
    found_s: float | None = field(default=None, metadata=about("until a slow component is found and replaced", gt=0))

    def contradictions(self) -> Iterator[Problem]:
        for process, cls in FAILURE_PROCESSES.items():
            for parameter in fields(cls):
                if (getattr(self, parameter.name) is None) == (self.process == process):
                    word = "is required for" if self.process == process else "belongs to the process"
                    yield Problem(f"{word} {process}", parameter.name)
        if (self.slow_factor is None) != (self.found_s is None):
            yield Problem("slow_factor and found go together", "slow_factor")


@dataclass(frozen=True, slots=True)
class CheckpointRequest(Record):
    """Copies of the training state."""

    policy: str = field(
        default="synchronous",
        metadata=about("who waits for a copy, and where it goes") | {"choices": tuple(CHECKPOINT_POLICIES)},
    )
    interval_s: float | None = field(
        default=None, metadata=about("time between copies; empty: that of the largest goodput", gt=0)
    )
    size_bytes: float | None = field(
        default=None, metadata=about("of one copy; empty: weights and optimiser state of the model", gt=0)
    )
    write_s: float | None = field(
        default=None, metadata=about("time a copy takes; empty: from its size, storage and network", gt=0)
    )
    read_s: float | None = field(default=None, metadata=about("the same of reading one back", ge=0))
    interference: float | None = field(
        default=None,
        metadata=about(
            "share of a step's rate lost while a copy is written behind; empty: from the network", ge=0, lt=1
        ),
    )


@dataclass(frozen=True, slots=True)
class RecoveryRequest(Record):
    """How training comes back after a failure."""

    policy: str = field(
        default="replace",
        metadata=about("wait for every place to be filled, or go on with fewer nodes") | {"choices": tuple(RECOVERIES)},
    )
    detect_s: float = field(
        default=600.0,
        metadata=about(
            "until a failure is found and placed; default: below 10 min on average, MegaScale (arXiv 2402.15627, §6)",
            ge=0,
        ),
    )
    restart_s: float | None = field(
        default=None,
        metadata=about("job start, communicators, warm-up; empty: 17 s + 0.13 s per node", ge=0),
    )
    spares: int | None = field(
        default=None,
        metadata=about(
            "nodes kept idle, blocks behind optical switches; empty: a replacement is always at hand",
            ge=0,
        ),
    )
    repair_s: float | None = field(default=None, metadata=about("until a failed node is back; with spares", gt=0))

    def contradictions(self) -> Iterator[Problem]:
        if (self.spares is None) != (self.repair_s is None):
            missing = "repair_s" if self.repair_s is None else "spares"
            yield Problem("spares and repair go together", missing)
        if self.policy == "shrink" and self.spares is None:
            yield Problem("is required to shrink: without it no place stays empty", "spares")


@dataclass(frozen=True, slots=True)
class EvaluationRequest(Record):
    """Pauses in which the model is evaluated."""

    every_samples: float = field(metadata=about("training samples between evaluations", gt=0))
    samples: float | None = field(
        default=None, metadata=about("samples of one, priced as forward passes of all devices", gt=0)
    )
    work: float | None = field(
        default=None,
        metadata=about("time of such a sample over that of one in training; empty: 1/3, forward one of three", gt=0),
    )
    lasts_s: float | None = field(default=None, metadata=about("time of one, instead", gt=0))

    def contradictions(self) -> Iterator[Problem]:
        if (self.samples is None) == (self.lasts_s is None):
            yield Problem("needs either samples or lasts", "samples")
        if self.lasts_s is not None and self.work is not None:
            yield Problem("belongs to samples, not to lasts", "work")

    def pause_s(self, sample_s: float, gap_s: float) -> float:
        """Seconds of one: the turn of the host and the samples, of which one takes `sample_s` in training."""
        if self.lasts_s is not None:
            return self.lasts_s
        return gap_s + (self.samples or 0.0) * (self.work or FORWARD_SHARE) * sample_s


@dataclass(frozen=True, slots=True)
class MaintenanceRequest(Record):
    """Planned stops, with a copy before and a restart after each."""

    every_s: float = field(metadata=about("from the beginning of one to that of the next", gt=0))
    lasts_s: float = field(metadata=about("each", gt=0))

    def contradictions(self) -> Iterator[Problem]:
        if self.lasts_s >= self.every_s:
            rule = f"stops would overlap: each must be shorter than the {self.every_s:g} s between them"
            yield Problem(rule, "lasts_s", f"{self.lasts_s:g} s")


@dataclass(frozen=True, slots=True)
class PhaseRequest(Record):
    """A part of the training with a batch or sizes of its own; what no phase covers is as the scenario says."""

    start: float = field(metadata=about("share of the data at which it begins", ge=0, lt=1))
    end: float = field(metadata=about("share of the data at which it ends", gt=0, le=1))
    global_batch: int | None = field(default=None, metadata=about("samples per step; empty: the plan's", ge=1))
    sizes: Mapping[str, object] = field(
        default_factory=dict, metadata=about("sizes of the model that differ (sequence, image)")
    )

    def contradictions(self) -> Iterator[Problem]:
        if self.end <= self.start:
            yield Problem("must lie after start", "end", f"{self.end:g}")


@dataclass(frozen=True, slots=True)
class Campaign(Record):
    """What happens between the first step and the target. Empty: nothing but steps."""

    failures: tuple[FailureRequest, ...] = field(default=(), metadata=about("what fails"))
    checkpoints: CheckpointRequest | None = field(default=None, metadata=about("copies of the state"))
    recovery: RecoveryRequest = field(default=RecoveryRequest(), metadata=about("after a failure"))
    evaluation: EvaluationRequest | None = field(default=None, metadata=about("pauses for evaluation"))
    maintenance: MaintenanceRequest | None = field(default=None, metadata=about("planned stops"))
    phases: tuple[PhaseRequest, ...] = field(default=(), metadata=about("batch and sequence schedules"))
    startup_s: float = field(default=0.0, metadata=about("once, before the first step", ge=0))
    nodes_per_rack: int = field(default=4, metadata=about("nodes a rack failure takes down", ge=1))
    nodes_per_power_domain: int = field(default=32, metadata=about("nodes a power failure takes down", ge=1))
    prices: Prices = field(default=Prices(), metadata=about("money, energy and carbon of the site"))
    seeds: int = field(default=32, metadata=about("campaigns the band is drawn from", ge=1, le=100000))

    def contradictions(self) -> Iterator[Problem]:
        for index, (before, after) in enumerate(pairwise(self.phases), 1):
            if after.start < before.end:
                yield Problem("overlaps the phase before it, or stands before it", f"phases.{index}.start")
        if self.checkpoints is None:
            needed = {
                "maintenance": self.maintenance is not None,
                "recovery.policy": self.recovery.policy == "shrink",
                "failures": any(f.slow_factor is not None for f in self.failures),
            }
            for path, need in needed.items():
                if need:
                    yield Problem("needs checkpoints, to stop without loss", path)

    @property
    def empty(self) -> bool:
        """Whether nothing but steps happens."""
        return not (
            self.failures or self.checkpoints or self.evaluation or self.maintenance or self.phases or self.startup_s
        )
