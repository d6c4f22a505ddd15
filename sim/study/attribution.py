"""Which of the things two scenarios differ in makes how much of the difference between their answers.

The parts in which they differ are exchanged in every combination, each combination is simulated, and the difference of
a figure is shared out as Shapley values: a part's share is what exchanging it adds, averaged over every order in which
the parts can be exchanged one by one.  The shares add up to the whole difference, and two parts that only help
together get half each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import combinations
from math import factorial, fsum
from typing import Final, TypeAlias

from sim.device.records import Accelerator
from sim.errors import InfeasibleError, InputError, UnreachableError
from sim.network.records import Cluster
from sim.records import dataclass
from sim.result import Result
from sim.scenario import Scenario
from sim.simulation import simulate
from sim.study.metrics import SPENT, Metric

MOST_PARTS: Final = 6  # 2^6 simulations for an exact answer
Part: TypeAlias = tuple[str, ...]  # names of what is exchanged together


@dataclass(frozen=True, slots=True)
class Share:
    """One part of the difference of a figure: exchanged `alone` in the first scenario, and its Shapley `share`."""

    part: Part
    alone: float
    share: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """The difference of one figure, second less first, and its shares, largest first; they add up to it."""

    metric: Metric
    first: float
    second: float
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Attributed:
    """What two scenarios differ in, and for every figure they both have what each part makes of it.

    `joined`: parts that cannot be exchanged one without the other, as some mixture of them has no answer.
    """

    label: str
    parts: tuple[Part, ...]
    figures: tuple[Attribution, ...]
    missing: Mapping[str, str]

    @property
    def joined(self) -> tuple[Part, ...]:
        """Parts of several things."""
        return tuple(part for part in self.parts if len(part) > 1)


_DEVICE: Final[Mapping[str, tuple[str, ...]]] = {
    "accelerator memory": ("memory", "cache", "pointwise"),
    "accelerator power and price": ("power", "price_usd", "mtbf_s"),
}
_REST_OF_DEVICE: Final = "accelerator compute"
_SCENARIO: Final[Mapping[str, tuple[str, ...]]] = {
    "node": ("host", "storage"),
    "plan": ("plan", "objective"),
    "workload": ("workload",),
    "target": ("target", "scaling"),
    "training": ("training", "speedups"),
    "campaign": ("campaign",),
    "software": ("framework", "software_date"),
}
_NAMES: Final = frozenset({"name", "accelerator", "status", "date", "source", "sources", "confidence", "inherited"})
_TOGETHER: Final = (  # joined in this order where more parts differ than are exchanged one by one
    (_REST_OF_DEVICE, *_DEVICE),
    ("workload", "target"),
    ("training", "campaign"),
    ("cluster", "links"),
    ("cluster", "node"),
    ("plan", "software"),
)


def attribute(first: Scenario, second: Scenario, results: tuple[Result, Result], seed: int, label: str) -> Attributed:
    """The difference of time, cost and energy to the target between two scenarios, shared out over its causes.

    `results` are those of the two; at most 2^6 - 2 mixtures of them are simulated. Where more than six parts differ,
    near ones are taken together; so are parts some mixture of which has no answer.
    Source: Shapley 1953, A value for n-person games.
    """
    differing = differences(first, second)
    known: dict[frozenset[str], Result | None] = {frozenset(): results[0], frozenset(differing): results[1]}

    def answer(names: frozenset[str]) -> Result | None:
        if names not in known:
            known[names] = _answer(first, second, names, seed)
        return known[names]

    parts = separable(grouped(differing), lambda names: answer(names) is not None)
    figures, missing = [], {}
    for metric in SPENT:
        values = {names: _value(metric, answer(names)) for names in _mixtures(parts)}
        if None in values.values():
            missing[metric.name] = "one of the scenarios, or a mixture of them, has no such figure"
            continue
        figures.append(_attribution(metric, parts, {names: value or 0.0 for names, value in values.items()}))
    return Attributed(label, parts, tuple(figures), missing)


def _attribution(metric: Metric, parts: Sequence[Part], values: Mapping[frozenset[str], float]) -> Attribution:
    shares = shapley(parts, values.__getitem__)
    base = values[frozenset()]
    found = [Share(part, values[frozenset(part)] - base, share) for part, share in zip(parts, shares, strict=True)]
    largest = sorted(found, key=lambda share: -abs(share.share))
    return Attribution(metric, base, values[_union(parts)], tuple(largest))


def shapley(parts: Sequence[Part], value: Callable[[frozenset[str]], float]) -> tuple[float, ...]:
    """Shapley values of `parts` in `value`, a function of the names exchanged: the sum over the sets S without i of
    |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)). They add up to v(all) - v(none).
    """
    n = len(parts)

    def share(part: Part) -> float:
        others = [other for other in parts if other != part]
        return fsum(
            factorial(size) * factorial(n - size - 1) / factorial(n) * (value(_union((*chosen, part))) - value(before))
            for size in range(n)
            for chosen in combinations(others, size)
            for before in (_union(chosen),)
        )

    return tuple(share(part) for part in parts)


def separable(parts: Sequence[Part], answers: Callable[[frozenset[str]], bool]) -> tuple[Part, ...]:
    """Parts every mixture of which has an answer: the two that stand in the way of most are joined until it is so."""
    kept = tuple(parts)
    while failing := [names for names in _mixtures(kept) if not answers(names)]:
        pairs = combinations(kept, 2)
        one, other = min(pairs, key=lambda pair: sum(_whole(pair, names) for names in failing))
        kept = _joined(kept, (*one, *other))
    return kept


def _whole(pair: tuple[Part, Part], names: frozenset[str]) -> bool:
    """Whether a mixture takes both parts of a pair from one scenario."""
    return (pair[0][0] in names) == (pair[1][0] in names)


def grouped(names: Sequence[str]) -> tuple[Part, ...]:
    """The names one by one, or near ones together until there are at most six parts."""
    parts: tuple[Part, ...] = tuple((name,) for name in names)
    for near in _TOGETHER:
        if len(parts) <= MOST_PARTS:
            break
        parts = _joined(parts, near)
    return parts


def _joined(parts: Sequence[Part], names: Iterable[str]) -> tuple[Part, ...]:
    """The parts that hold any of the names as one part, in the place of the first of them."""
    chosen = set(names)
    apart = [part for part in parts if chosen.isdisjoint(part)]
    held = [part for part in parts if not chosen.isdisjoint(part)]
    if len(held) < 2:
        return tuple(parts)
    place = parts.index(held[0])
    return (*apart[:place], tuple(name for part in held for name in part), *apart[place:])


def _mixtures(parts: Sequence[Part]) -> Iterator[frozenset[str]]:
    return (_union(chosen) for size in range(len(parts) + 1) for chosen in combinations(parts, size))


def _union(parts: Iterable[Part]) -> frozenset[str]:
    return frozenset(name for part in parts for name in part)


def _value(metric: Metric, result: Result | None) -> float | None:
    return None if result is None else metric.of(result)


def _answer(first: Scenario, second: Scenario, names: frozenset[str], seed: int) -> Result | None:
    try:
        return simulate(mixed(first, second, names), seed=seed, levers=False)
    except (InputError, InfeasibleError, UnreachableError):
        return None


def differences(first: Scenario, second: Scenario) -> tuple[str, ...]:
    """Names of the parts in which two scenarios differ; names, dates and sources of records are no difference."""
    found = [name for name, own in _of_device().items() if _differ(first.accelerator, second.accelerator, own)]
    one, other = first.cluster, second.cluster
    rest = (*(f.name for f in fields(Cluster)),)
    if _differ(one, _linked(other, one), rest) or first.cluster_choices != second.cluster_choices:
        found.append("cluster")
    if _linked(one, other) != one:
        found.append("links")
    return (*found, *(name for name, own in _SCENARIO.items() if _differ(first, second, own)))


def mixed(first: Scenario, second: Scenario, names: frozenset[str]) -> Scenario:
    """The first scenario with the named parts of the second."""
    chip, cluster = first.accelerator, second.cluster if "cluster" in names else first.cluster
    for name, own in _of_device().items():
        if name in names:
            chip = replace(chip, **{field: getattr(second.accelerator, field) for field in own})
    whole = {field: getattr(second, field) for name, own in _SCENARIO.items() if name in names for field in own}
    choices = (second if "cluster" in names else first).cluster_choices
    linked = _linked(cluster, (second if "links" in names else first).cluster)
    named = {**first.links, **second.links}
    return replace(first, accelerator=chip, cluster=linked, cluster_choices=choices, links=named, **whole)


def _of_device() -> dict[str, tuple[str, ...]]:
    """Fields of an accelerator by part."""
    apart = {field for own in _DEVICE.values() for field in own}
    return {_REST_OF_DEVICE: tuple(f.name for f in fields(Accelerator) if f.name not in apart), **_DEVICE}


def _linked(cluster: Cluster, links: Cluster) -> Cluster:
    """A cluster with the links of another of as many levels; of other levels, as it is: they go with the cluster."""
    if not cluster.levels or len(cluster.levels) != len(links.levels):
        return cluster
    pairs = zip(cluster.levels, links.levels, strict=True)
    return replace(cluster, levels=tuple(replace(own, link=other.link, nics=other.nics) for own, other in pairs))


def _differ(one: object, other: object, names: Iterable[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names if name not in _NAMES)
