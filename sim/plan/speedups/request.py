"""The `speedups` part of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from sim.errors import Problem
from sim.fields import Record, about, did_you_mean
from sim.plan.speedups import ELSEWHERE, SPEEDUPS
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class SpeedupRequest(Record):
    """One algorithmic speed-up."""

    method: str = field(metadata=about("its name: layer_freezing, selective_backprop … (docs/campaign.md)"))
    amount: float | None = field(
        default=None, metadata=about("how much of it, in its own measure; empty: its source's")
    )

    def contradictions(self) -> Iterator[Problem]:
        known = SPEEDUPS.get(self.method)
        if known is None:
            said = ELSEWHERE.get(self.method)
            hint = said or did_you_mean(self.method, SPEEDUPS) or f"one of {', '.join(SPEEDUPS)}"
            rule = "is said elsewhere" if said else "no such speed-up"
            yield Problem(rule, "method", self.method, hint=hint)
        elif self.amount is not None and not known.least <= self.amount <= known.most:
            yield Problem(f"must lie between {known.least:g} and {known.most:g}", "amount", f"{self.amount:g}")
