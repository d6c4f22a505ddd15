"""Hardware properties an architect turns, by name: what each is in a scenario, and the scenario with it scaled.

Levers, sensitivities, inverse questions and explorations turn the same properties; a new one is a line of `PROPERTIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Final

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.network.records import Cluster, LinkType
from sim.records import dataclass
from sim.scenario import Scenario
from sim.units import Dimension, read_quantity


@dataclass(frozen=True, slots=True)
class Property:
    """One hardware property: its SI value in a scenario (None: no limit), and the scenario with it scaled.

    `more` says that more of it is better (bandwidth), else less is (latency).
    """

    name: str
    label: str
    dimension: Dimension
    more: bool
    value: Callable[[Scenario], float | None]
    scaled: Callable[[Scenario, float], Scenario]


def _chip(change: Callable[[Accelerator, float], Accelerator]) -> Callable[[Scenario, float], Scenario]:
    return lambda scenario, factor: replace(scenario, accelerator=change(scenario.accelerator, factor))


def _peak(chip: Accelerator, factor: float) -> Accelerator:
    return replace(chip, compute={f: replace(c, peak_flops=factor * c.peak_flops) for f, c in chip.compute.items()})


def _memory_bandwidth(chip: Accelerator, factor: float) -> Accelerator:
    return replace(chip, memory=replace(chip.memory, bandwidth=factor * chip.memory.bandwidth))


def _memory_capacity(chip: Accelerator, factor: float) -> Accelerator:
    return replace(chip, memory=replace(chip.memory, capacity_bytes=factor * chip.memory.capacity_bytes))


def _cache_capacity(chip: Accelerator, factor: float) -> Accelerator:
    return replace(chip, cache=replace(chip.cache, capacity_bytes=factor * chip.cache.capacity_bytes))


def _cache_bandwidth(chip: Accelerator, factor: float) -> Accelerator:
    rate = chip.cache.bandwidth
    return replace(chip, cache=replace(chip.cache, bandwidth=None if rate is None else factor * rate))


def _kernel_overhead(chip: Accelerator, factor: float) -> Accelerator:
    return replace(chip, kernel_overhead_s=factor * chip.kernel_overhead_s, host_s=factor * chip.host_s)


def _links(change: Callable[[LinkType], LinkType], cluster: Cluster, bandwidth: float, latency: float) -> Cluster:
    edges = tuple(replace(e, bandwidth=bandwidth * e.bandwidth, latency_s=latency * e.latency_s) for e in cluster.edges)
    return replace(cluster, levels=tuple(replace(v, link=change(v.link)) for v in cluster.levels), edges=edges)


def _link_bandwidth(scenario: Scenario, factor: float) -> Scenario:
    def wider(link: LinkType) -> LinkType:
        return replace(link, bandwidth=factor * link.bandwidth)

    return scenario.on_clusters(lambda cluster: _links(wider, cluster, factor, 1.0))


def _link_latency(scenario: Scenario, factor: float) -> Scenario:
    def slower(link: LinkType) -> LinkType:
        names = ("latency_s", "hop_latency_s", "base_s", "message_base_s")
        given = {name: value for name in names if (value := getattr(link, name)) is not None}
        return replace(link, **{name: factor * value for name, value in given.items()})

    return scenario.on_clusters(lambda cluster: _links(slower, cluster, 1.0, factor))


def _narrowest(scenario: Scenario) -> float | None:
    rates = [v.link.bandwidth for v in scenario.cluster.levels] + [e.bandwidth for e in scenario.cluster.edges]
    return min(rates, default=None)


def _slowest(scenario: Scenario) -> float | None:
    delays = [v.link.latency_s for v in scenario.cluster.levels] + [e.latency_s for e in scenario.cluster.edges]
    return max(delays, default=0.0) or None


def _format_peak(scenario: Scenario) -> float | None:
    found = scenario.accelerator.compute.get(scenario.workload.numerics.compute)
    return None if found is None else found.peak_flops


PROPERTIES: Final = {
    each.name: each
    for each in (
        Property("peak", "peak FLOP/s", "flops", True, _format_peak, _chip(_peak)),
        Property(
            "memory_bandwidth",
            "memory bandwidth",
            "bandwidth",
            True,
            lambda s: s.accelerator.memory.bandwidth,
            _chip(_memory_bandwidth),
        ),
        Property(
            "memory_capacity",
            "memory capacity",
            "bytes",
            True,
            lambda s: s.accelerator.memory.capacity_bytes,
            _chip(_memory_capacity),
        ),
        Property(
            "cache_capacity",
            "on-chip cache",
            "bytes",
            True,
            lambda s: s.accelerator.cache.capacity_bytes,
            _chip(_cache_capacity),
        ),
        Property(
            "cache_bandwidth",
            "cache bandwidth",
            "bandwidth",
            True,
            lambda s: s.accelerator.cache.bandwidth,
            _chip(_cache_bandwidth),
        ),
        Property(
            "kernel_overhead",
            "kernel and host overhead",
            "seconds",
            False,
            lambda s: s.accelerator.kernel_overhead_s or None,
            _chip(_kernel_overhead),
        ),
        Property("link_bandwidth", "link bandwidth", "bandwidth", True, _narrowest, _link_bandwidth),
        Property("link_latency", "link latency and launch", "seconds", False, _slowest, _link_latency),
    )
}


def property_of(name: str) -> Property:
    """The property of that name."""
    found = PROPERTIES.get(name)
    if found is None:
        raise InputError(Problem("is no hardware property", "--property", name, hint=f"one of {', '.join(PROPERTIES)}"))
    return found


def turned(scenario: Scenario, name: str, value: object) -> Scenario:
    """The scenario with a property of that value: a number (SI), or text with a unit."""
    prop = property_of(name)
    have = prop.value(scenario)
    if have is None:
        raise InputError(Problem("is no limit of this scenario", name, str(value)))
    return prop.scaled(scenario, quantity_of(prop, value) / have)


def quantity_of(prop: Property, value: object) -> float:
    """A value of a property, in SI."""
    try:
        number = value if isinstance(value, int | float) else read_quantity(value, prop.dimension)
    except InputError as error:
        raise InputError(*(replace(problem, path=prop.name) for problem in error.problems)) from None
    if not number > 0.0 or not isfinite(number):
        raise InputError(Problem("must be positive", prop.name, str(value)))
    return float(number)
