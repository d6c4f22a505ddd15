"""The constants of a cluster's links that timings of collectives may tell, and the cluster that carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from sim.files.clusters import ClusterFile, LevelGroup
from sim.files.timings import Timing
from sim.network import Cluster, Communicator, Group, Level, LinkType
from sim.ops import Collective
from sim.study.chip_constants import Constant

OF_TYPE = {"efficiency": True, "latency_s": False, "reduction_efficiency": True}
"""Of each type of link: whether a share."""
OF_ALL = {"base_s": False, "fast_latency": True, "fast_bandwidth": True}
"""Of the kernel and its protocol, whatever link it uses."""
LEAST = 1e-9
"""Of a time or a share: less is nothing."""


def link_constants(cluster: Cluster, timings: Sequence[Timing]) -> tuple[Constant, ...]:
    """Those of every type of link that the devices of the rows reach over, and of all of them; of two that rows cannot
    tell apart the later stays."""
    most, types, devices = max(t.devices for t in timings), dict[str, LinkType](), 1
    for level in cluster.levels:
        if devices < most:
            types[level.link.name] = level.link
        devices *= level.size
    own = [_constant(link.name, name, share) for name, share in OF_TYPE.items() for link in types.values()]
    return tuple(c for c in (*own, *(_constant("", *each) for each in OF_ALL.items())) if c.read(cluster) > 0.0)


def _constant(link: str, name: str, share: bool) -> Constant:
    """Of links of a name, or of all; what a link does not have (a protocol, sums in switches) it does not get."""

    def has(level: Level) -> bool:
        return link in ("", level.link.name) and getattr(level.link, name) > 0.0

    def read(cluster: Cluster) -> float:
        return next((float(getattr(level.link, name)) for level in cluster.levels if has(level)), 0.0)

    def put(cluster: Cluster, value: float) -> Cluster:
        changed = cast(Any, {name: max(value, LEAST)})
        levels = (replace(x, link=replace(x.link, **changed)) if has(x) else x for x in cluster.levels)
        return replace(cluster, levels=tuple(levels))

    said = name.removesuffix("_s")
    return Constant(f"{link}.{said}" if link else said, read, put, LEAST, share, time=not share)


def collective_seconds(cluster: Cluster, timings: Sequence[Timing]) -> list[float]:
    """Each row by the model of collectives (s), with the algorithm it holds for the fastest."""
    communicator = Communicator(cluster)
    return [communicator.time(op.kind, op.bytes, Group(t.devices)) for t in timings for op in (cast(Collective, t.op),)]


def with_links(
    file: ClusterFile, cluster: Cluster, fitted: Mapping[Constant, float], name: str, source: str
) -> ClusterFile:
    """The base's file, which `cluster` was made of, with the fitted constants of its links."""

    def level(group: LevelGroup, place: int) -> LevelGroup:
        own: Mapping[str, Any] = group.link if isinstance(group.link, Mapping) else {"like": group.link}
        alone = replace(cluster, levels=cluster.levels[place : place + 1], devices=cluster.levels[place].size)
        changed = {
            constant.name.rpartition(".")[2]: constant.exact(value)
            for constant, value in fitted.items()
            if constant.read(alone) > 0.0
        }
        return replace(group, link={**own, **changed}) if changed else group

    levels = tuple(level(group, place) for place, group in enumerate(file.levels))
    return replace(file, name=name, levels=levels, source=f"{file.source}; {source}" if file.source else source)
