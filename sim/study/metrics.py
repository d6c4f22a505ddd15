"""The figures of a result that studies tabulate, compare and optimise, by name."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.result import Result


class Sense(StrEnum):
    """Which way a metric is better."""

    LESS = "less"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a result; SI, the unit at the end of the name."""

    name: str
    label: str
    sense: Sense
    of: Callable[[Result], float | None]
    band: bool = False  # the end of a band, which is drawn where it is asked for


def _target(result: Result) -> float | None:
    return None if result.time_to_target is None else result.time_to_target.seconds


def _target_energy(result: Result) -> float | None:
    return None if result.energy is None else result.energy.target_j


def _power(result: Result) -> float | None:
    return None if result.energy is None else result.energy.mean_device_w


def _device_hours(result: Result) -> float | None:
    return None if result.cost is None else result.cost.device_hours


def _spent(result: Result) -> float | None:
    return None if result.cost is None else result.cost.total_usd


def _devices_price(result: Result) -> float | None:
    return None if result.cost is None else result.cost.devices_usd


def _end(name: str, percentile: str) -> Callable[[Result], float | None]:
    """An end of the band of a headline number."""

    def of(result: Result) -> float | None:
        band = result.uncertainty.bands.get(name) if result.uncertainty else None
        return None if band is None else float(getattr(band, percentile))

    return of


def _ends(name: str, label: str) -> tuple[Metric, Metric]:
    """Both ends of a band, the unit at the end of their names."""
    what, unit = name.rsplit("_", 1)
    return (
        Metric(f"{what}_p05_{unit}", f"{label} p05", Sense.LESS, _end(name, "p05"), band=True),
        Metric(f"{what}_p95_{unit}", f"{label} p95", Sense.LESS, _end(name, "p95"), band=True),
    )


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("time_to_target_s", "time to target", Sense.LESS, _target),
        Metric("step_s", "step", Sense.LESS, lambda r: r.step.time_s),
        Metric("samples_per_s", "samples per second", Sense.MORE, lambda r: r.plan.global_batch / r.step.time_s),
        Metric("mfu", "mfu", Sense.MORE, lambda r: r.mfu),
        Metric("memory_bytes", "memory of the fullest device", Sense.LESS, lambda r: r.fullest.total_bytes),
        Metric("energy_j", "energy to target", Sense.LESS, _target_energy),
        Metric("cost_usd", "cost to target", Sense.LESS, _spent),
        Metric("device_power_w", "mean power of a device", Sense.LESS, _power),
        Metric("devices_usd", "price of the devices", Sense.LESS, _devices_price),
        Metric("device_hours", "device hours", Sense.LESS, _device_hours),
        Metric("devices", "devices", Sense.LESS, lambda r: float(r.devices)),
        Metric("global_batch", "global batch", Sense.LESS, lambda r: float(r.plan.global_batch)),
        *_ends("time_to_target_s", "time to target"),
        *_ends("energy_j", "energy to target"),
        *_ends("cost_usd", "cost to target"),
    )
}

BANDS: Final = tuple(metric for metric in METRICS.values() if metric.band)
SPENT: Final = (  # what reaching the target takes
    METRICS["time_to_target_s"],
    METRICS["cost_usd"],
    METRICS["energy_j"],
)


def values(result: Result) -> tuple[float | None, ...]:
    """Every metric of a result, in the order of `METRICS`."""
    return tuple(metric.of(result) for metric in METRICS.values())


def metric(name: str) -> Metric:
    """The metric of that name."""
    found = METRICS.get(name)
    if found is None:
        raise InputError(Problem("is no metric", "--metric", name, hint=f"one of {', '.join(METRICS)}"))
    return found
