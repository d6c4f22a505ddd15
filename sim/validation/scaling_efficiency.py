"""Scaling efficiency of data-parallel runs: rate per device at N devices over that at the fewest of its family.

A family is one chip in one published group (a paper, a benchmark round).  Measured and predicted efficiency are
compared in points; the rate of the fewest devices is the median over its rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median

from sim.records import dataclass
from sim.validation.validation import Comparison, Outcome, Request

RATES = ("samples_per_s", "samples_per_s_evaluated", "seconds_per_sample")
WITHIN = 0.08  # points the set is judged by


@dataclass(frozen=True, slots=True)
class Point:
    """One row: devices, samples per second and device measured and predicted, and the communication of its step."""

    id: str
    family: str
    devices: int
    measured: float
    predicted: float
    communication_s: float
    exposed_s: float
    step_s: float


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Efficiency of one row against the fewest devices of its family."""

    point: Point
    fewest: int
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Predicted less measured (1 = 100 points)."""
        return self.predicted - self.measured


def points(
    requests: Iterable[Request], rows: Iterable[Comparison], outcomes: Mapping[str, Outcome]
) -> tuple[Point, ...]:
    """Rows whose rate of samples was measured on a known number of devices."""
    asked = {request.id: request for request in requests}
    found = []
    for row in rows:
        request = asked.get(row.id)
        devices = request.overrides.get("cluster.devices") if request else None
        if request is None or request.measure is None or request.measure.field not in RATES:
            continue
        if not isinstance(devices, int) or row.status != "ok":
            continue
        inverse = request.measure.field == "seconds_per_sample"
        rates = (1.0 / v if inverse else v for v in (row.measured, row.predicted))
        measured, predicted = (rate / devices for rate in rates)
        fields = outcomes[row.id].fields
        times = (fields[key] for key in ("communication_s", "exposed_communication_s", "step_time_s"))
        found.append(Point(row.id, f"{row.accelerator} {row.group}", devices, measured, predicted, *times))
    return tuple(found)


def efficiencies(found: Sequence[Point]) -> tuple[Efficiency, ...]:
    """Every row on more devices than the fewest of its family."""
    families: dict[str, list[Point]] = defaultdict(list)
    for point in found:
        families[point.family].append(point)
    result = []
    for members in families.values():
        fewest = min(point.devices for point in members)
        start = [point for point in members if point.devices == fewest]
        measured, predicted = median(p.measured for p in start), median(p.predicted for p in start)
        result += [
            Efficiency(p, fewest, p.measured / measured, p.predicted / predicted)
            for p in sorted(members, key=lambda p: p.devices)
            if p.devices > fewest
        ]
    return tuple(result)


def notes(requests: Iterable[Request], rows: Iterable[Comparison], outcomes: Mapping[str, Outcome]) -> tuple[str, ...]:
    """A sentence with the errors in points, and the row that misses most in each family."""
    found = efficiencies(points(requests, rows, outcomes))
    if not found:
        return ()
    errors = [abs(e.error) for e in found]
    inside = sum(error <= WITHIN for error in errors)
    head = (
        f"scaling efficiency: {len(found)} rows, mean error {100 * mean(errors):.1f} points, "
        f"median {100 * median(errors):.1f}; {inside} within {100 * WITHIN:.0f}"
    )
    families = dict.fromkeys(e.point.family for e in found)
    worst = [max((e for e in found if e.point.family == name), key=lambda e: abs(e.error)) for name in families]
    return (head, *(_line(e) for e in worst))


def _line(e: Efficiency) -> str:
    p = e.point
    return (
        f"  {p.family}: {p.devices} against {e.fewest} devices measured {100 * e.measured:.1f} %, "
        f"predicted {100 * e.predicted:.1f} %; communication {1e3 * p.communication_s:.2f} ms, "
        f"exposed {1e3 * p.exposed_s:.2f} of {1e3 * p.step_s:.1f} ms"
    )
