"""Optical circuit switches: blocks of devices cabled to any torus of whole blocks, chosen per job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Final

from sim.errors import InputError, Problem
from sim.network.records import Cluster, Level
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.twisted_torus import MOST, twists

PLAIN: Final = "torus"
TWISTED: Final = "twisted_torus"


def optical_problems(cluster: Cluster) -> list[Problem]:
    """What the blocks of a cluster cannot be joined to."""
    if cluster.optical is None:
        return []
    block, level = cluster.optical.block, cluster.levels[0] if cluster.levels else None
    if level is None or level.topology not in (PLAIN, TWISTED):
        return [
            Problem(f"optical switches join blocks to a {PLAIN} or {TWISTED} of devices, the first level", "optical")
        ]
    if len(block) != len(level.sizes):
        rule = f"must have the {len(block)} dimensions of a block of {spelled(block)}"
        return [Problem(rule, "levels[0].sizes", str(list(level.sizes)))]
    if any(size % side for size, side in zip(level.sizes, block, strict=True)):
        whole = [max(1, round(size / side)) * side for size, side in zip(level.sizes, block, strict=True)]
        rule = f"is not made of whole blocks of {spelled(block)}: only their outer faces have optical links"
        return [Problem(rule, "levels[0].sizes", str(list(level.sizes)), hint=f"like {whole}")]
    return []


def spelled(sizes: tuple[int, ...]) -> str:
    """4x4x8"""
    return "x".join(map(str, sizes))


def shape_of(cluster: Cluster) -> str:
    """The shape its blocks are joined to; empty without optical switches."""
    if cluster.optical is None:
        return ""
    level = cluster.levels[0]
    return spelled(level.sizes) + " twisted" * (level.topology == TWISTED)


def shaped(cluster: Cluster, sizes: tuple[int, ...] | None, twisted: bool | None) -> Cluster:
    """The cluster with its blocks joined to this shape; None: as it is."""
    level, *outer = cluster.levels
    kinds = {None: level.topology, True: TWISTED, False: PLAIN}
    level = replace(level, sizes=level.sizes if sizes is None else sizes, topology=kinds[twisted])
    levels = (level, *outer)
    return replace(cluster, levels=levels, devices=prod(each.size for each in levels))


def shapes(cluster: Cluster, twisted: bool | None = None) -> Iterator[Cluster]:
    """The cluster in every shape of as many devices that its blocks can be joined to; twisted ones, plain ones, or
    (None) both. The shape it has comes first."""
    if cluster.optical is None:
        return
    block, sizes = cluster.optical.block, cluster.levels[0].sizes
    found = sorted(_products(prod(sizes) // prod(block), len(block)))
    found = [tuple(n * side for n, side in zip(each, block, strict=True)) for each in found]
    for each in sorted(found, key=lambda shape: shape != sizes):
        if twisted is not True:
            yield shaped(cluster, each, False)
        if twisted is not False and twists(each) and prod(each) <= MOST:
            yield shaped(cluster, each, True)


def _products(members: int, dimensions: int) -> Iterator[tuple[int, ...]]:
    """`members` as a product of so many factors, in every order."""
    if dimensions == 1:
        yield (members,)
        return
    for first in (n for n in range(1, members + 1) if members % n == 0):
        for rest in _products(members // first, dimensions - 1):
            yield (first, *rest)


def resized_in_blocks(level: Level, members: int, block: tuple[int, ...]) -> Level:
    """The level with other many members, in whole blocks."""
    count, left = divmod(members, prod(block))
    if left or not count:
        below = max(1, count) * prod(block)
        rule = f"must be a multiple of {prod(block)}, a block of {spelled(block)}"
        raise InputError(Problem(rule, "devices", str(members), hint=f"{below} or {below + prod(block)}"))
    blocks = replace(level, sizes=tuple(size // side for size, side in zip(level.sizes, block, strict=True)))
    sizes = TOPOLOGIES[level.topology].resized(blocks, count).sizes
    return replace(level, sizes=tuple(n * side for n, side in zip(sizes, block, strict=True)))
