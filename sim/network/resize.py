"""The same cluster with other many devices."""

from __future__ import annotations

from dataclasses import replace

from sim.errors import InputError, Problem
from sim.network.check import size_problem
from sim.network.optical import resized_in_blocks
from sim.network.records import Cluster
from sim.network.topologies import TOPOLOGIES


def resize(cluster: Cluster, devices: int) -> Cluster:
    """The same cluster with other many devices: inner levels stay whole, the outermost one scales.

    At most one node's worth shrinks the node; a torus keeps its number of dimensions, as equal as they come.
    Where whole nodes do not add up, as few nodes as possible are used in part, each equally (128 of NVL72: 2 x 64,
    1,024: 16 x 64).
    Dead and degraded links and the order of ranks stay as they are; `topology` refuses those that no longer fit.
    """
    if not cluster.levels:
        raise InputError(Problem("a graph cannot be resized", "devices", str(devices), hint="its edges are its size"))
    if too_large := size_problem(devices):
        raise InputError(too_large)
    cluster = _part_used(cluster, devices)
    inner = 1
    for number, level in enumerate(cluster.levels):
        if devices <= inner * level.size or number == len(cluster.levels) - 1:
            break
        inner *= level.size
    if cluster.optical is not None and number == 0:
        outer = resized_in_blocks(level, devices, cluster.optical.block)
        return replace(cluster, devices=devices, levels=(outer,))
    members, left = divmod(devices, inner)
    if left or members < 1:
        below = max(1, members) * inner
        raise InputError(
            Problem(f"must be a multiple of {inner}", "devices", str(devices), hint=f"{below} or {below + inner}")
        )
    outer = TOPOLOGIES[level.topology].resized(level, members)
    return replace(cluster, devices=devices, levels=(*cluster.levels[:number], outer))


def _part_used(cluster: Cluster, devices: int) -> Cluster:
    """Nodes behind a switch cut to an equal part where that makes `devices` come out, links out in proportion; at
    most twice the nodes that would hold them."""
    node, *outer = cluster.levels
    fewest = -(-devices // node.size)
    if not TOPOLOGIES[node.topology].divisible or not outer or fewest < 2 or devices % node.size == 0:
        return cluster
    nodes = next((n for n in range(fewest, 2 * fewest) if devices % n == 0), 0)
    if not nodes:
        return cluster
    share = devices / (nodes * node.size)
    fewer = [level if level.nics is None else replace(level, nics=level.nics * share) for level in outer]
    return replace(cluster, levels=(TOPOLOGIES[node.topology].resized(node, devices // nodes), *fewer))
