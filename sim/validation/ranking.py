"""How well plans are ranked: rank correlation of measured and predicted step times where only the plan differs.

A group holds the rows of one published set with the same model, devices, global batch and sequence length.  Ranks are
compared by Spearman's coefficient; two times closer than 2 % are a tie and share their rank:
rank(i) = 1 + #{j: tⱼ < tᵢ, not tied} + ½·#{j ≠ i: tⱼ tied with tᵢ}.
No prediction tells two measurements of one plan apart: the best correlation there can be is that with the mean rank of
every plan, which repeated measurements set.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from sim.records import dataclass
from sim.validation.validation import Comparison, Request

TIE = 0.02
LEAST = 5  # rows of a group
EQUAL = ("workload.", "cluster", "accelerator", "plan.global_batch")  # overrides that make rows comparable


@dataclass(frozen=True, slots=True)
class Ranking:
    """One group of rows that differ in their plan alone."""

    group: str
    rows: tuple[str, ...]
    correlation: float
    ceiling: float  # of any prediction
    spread: float  # of the measured times: the longest over the shortest, less one


def rankings(requests: Iterable[Request], rows: Iterable[Comparison]) -> tuple[Ranking, ...]:
    """The groups with at least `LEAST` rows whose step was measured."""
    asked = {request.id: request for request in requests}
    found: dict[tuple[object, ...], list[Comparison]] = defaultdict(list)
    for row in rows:
        request = asked.get(row.id)
        if request is not None and row.status == "ok" and math.isfinite(row.error):
            found[(row.group, *_equal(request.overrides))].append(row)
    result = []
    for key, group in found.items():
        plans = [_plan(asked[row.id].overrides) for row in group]
        if len(group) >= LEAST and len(set(plans)) > 1:
            times = [row.time_over_ideal for row in group]
            result.append(
                Ranking(
                    str(key[0]),
                    tuple(row.id for row in group),
                    _correlation(group),
                    ceiling(times, plans),
                    max(times) / min(times) - 1.0,
                )
            )
    return tuple(result)


def ceiling(times: Sequence[float], plans: Sequence[object]) -> float:
    """The correlation of measured ranks with the mean rank of each plan."""
    own = ranks(times, TIE)
    means = {plan: mean(r for r, other in zip(own, plans, strict=True) if other == plan) for plan in set(plans)}
    return correlation(own, [means[plan] for plan in plans])


def _plan(overrides: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """What a row says of its plan."""
    return tuple(sorted((path, str(value)) for path, value in overrides.items() if path.startswith("plan.")))


def _equal(overrides: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((path, str(value)) for path, value in overrides.items() if path.startswith(EQUAL)))


def _correlation(rows: Sequence[Comparison]) -> float:
    """Of measured times with predicted ones: the latter are the former times (1 + error)."""
    times = [row.time_over_ideal for row in rows]
    return spearman(times, [t * (1.0 + row.error) for t, row in zip(times, rows, strict=True)])


def spearman(first: Sequence[float], second: Sequence[float], tie: float = TIE) -> float:
    """Correlation of the ranks; 0 where all of one side tie."""
    return correlation(ranks(first, tie), ranks(second, tie))


def correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's; 0 where one side does not vary."""
    centre_a, centre_b = mean(a), mean(b)
    spread = math.sqrt(sum((x - centre_a) ** 2 for x in a) * sum((y - centre_b) ** 2 for y in b))
    both = sum((x - centre_a) * (y - centre_b) for x, y in zip(a, b, strict=True))
    return both / spread if spread > 0.0 else 0.0


def ranks(values: Sequence[float], tie: float = TIE) -> list[float]:
    """Rank of each value, ties sharing theirs."""
    out = []
    for value in values:
        tied = sum(abs(other - value) <= tie * min(other, value) for other in values) - 1
        less = sum(other < value and value - other > tie * min(other, value) for other in values)
        out.append(1.0 + less + tied / 2.0)
    return out


def notes(requests: Iterable[Request], rows: Iterable[Comparison]) -> tuple[str, ...]:
    """One sentence per published set that has such groups."""
    found: dict[str, list[Ranking]] = defaultdict(list)
    for ranking in rankings(requests, rows):
        found[ranking.group].append(ranking)
    return tuple(_note(name, groups) for name, groups in found.items())


def _note(name: str, groups: Sequence[Ranking]) -> str:
    own = [ranking.correlation for ranking in groups]
    size = (
        f"{len(groups)} groups of {LEAST} rows or more ({sum(len(r.rows) for r in groups)} rows; lowest {min(own):.2f}"
    )
    least, most = min(r.spread for r in groups), mean(r.ceiling for r in groups)
    limits = f"measured times differ by {least:.0%} at least; repeated measurements allow {most:.2f})"
    return f"ranking of plans in {name}: Spearman {mean(own):.2f} over {size}; {limits}"
