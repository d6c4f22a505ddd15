"""Everything that can be wrong with a cluster, found at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from sim.errors import Problem
from sim.network.optical import optical_problems
from sim.network.records import Cluster, Level
from sim.network.topologies import TOPOLOGIES
from sim.network.topologies.base import LevelTopology, Name

#: Largest cluster: 2^22 devices of six links each stay within 2 GB and 20 s.
MOST_DEVICES = 1 << 24
MOST_LINKS = 1 << 25
#: Devices of a graph, whose links and routes are kept one by one.
MOST_NODES = 1 << 16


def problems(cluster: Cluster) -> list[Problem]:
    """What is wrong with the numbers and names of a cluster (its connectivity is checked on the built graph)."""
    found = []
    if too_large := size_problem(cluster.devices, MOST_NODES if cluster.edges else MOST_DEVICES):
        return [too_large]
    if cluster.rank_order and sorted(cluster.rank_order) != list(range(cluster.devices)):
        found.append(Problem(f"must hold every device 0 … {cluster.devices - 1} once", "rank_order"))
    if bool(cluster.levels) == bool(cluster.edges) and cluster.devices != 1:
        found.append(Problem("give either levels or edges", "levels"))
    found += edge_problems(cluster) if cluster.edges else level_problems(cluster)
    return found or optical_problems(cluster)


def size_problem(devices: int, most: int = MOST_DEVICES) -> Problem | None:
    """More devices than are simulated."""
    if devices <= most:
        return None
    kind = "" if most == MOST_DEVICES else " of a graph"
    return Problem(f"at most {most:,} devices{kind} are simulated", "devices", f"{devices:,}")


def links_problem(links: int) -> Problem | None:
    """More links than are simulated."""
    if links <= MOST_LINKS:
        return None
    return Problem(
        f"at most {MOST_LINKS:,} links are simulated", "levels", f"{links:,}", hint="use a switch or a torus"
    )


def level_problems(cluster: Cluster) -> list[Problem]:
    found, product = [], 1
    for i, level in enumerate(cluster.levels):
        found += one_level(level, f"levels[{i}]")
        product *= max(1, level.size)
    sizes = " × ".join(str(n) for level in cluster.levels for n in level.sizes)
    if cluster.levels and product != cluster.devices and not found:
        rule = f"the sizes {sizes} multiply to {product}, the cluster has {cluster.devices} devices"
        found.append(Problem(rule, "levels", str(product)))
    return found


def one_level(level: Level, path: str) -> list[Problem]:
    found = []
    topology = TOPOLOGIES.get(level.topology)
    if topology is None:
        return [TOPOLOGIES.unknown(level.topology, f"{path}.topology")]
    if topology.one_size and len(level.sizes) != 1:
        rule = f"a {level.topology} has one size; use torus for several"
        found.append(Problem(rule, f"{path}.sizes", str(level.sizes)))
    if level.oversubscription != 1 and not topology.trunks:
        trunks = ", ".join(name for name, each in TOPOLOGIES.items() if each.trunks)
        rule = f"{level.topology} has no trunks to oversubscribe; use one of {trunks}"
        found.append(Problem(rule, f"{path}.oversubscription", str(level.oversubscription)))
    options = option_problems(level, topology, path)
    return found + (options or topology.check(level, path))


def option_problems(level: Level, topology: type[LevelTopology], path: str) -> list[Problem]:
    """Options are few and numbers."""
    found, known = [], topology.options
    for name, value in level.options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            choice = f"{level.topology} knows {', '.join(known)}" if known else f"{level.topology} has none"
            rule, hint = f"no such option; {choice}", f"did you mean {near[0]}?" if near else ""
            found.append(Problem(rule, f"{path}.options.{name}", str(value), hint=hint))
        elif not isinstance(value, int | float) or isinstance(value, bool) or not value >= known[name]:
            rule = f"must be a number of at least {known[name]:g}"
            found.append(Problem(rule, f"{path}.options.{name}", str(value)))
    return found


MOST_ALONE: Final = 100_000  # devices without a link that are named one by one


def edge_problems(cluster: Cluster) -> list[Problem]:
    found, joined = [], set[Name]()
    for i, edge in enumerate(cluster.edges):
        for end in (edge.source, edge.target):
            if isinstance(end, int) and not 0 <= end < cluster.devices:
                rule = f"no such device; the cluster has devices 0 … {cluster.devices - 1}"
                found.append(Problem(rule, f"edges[{i}]", str(end)))
            joined.add(end)
    if cluster.devices > len(joined) + MOST_ALONE:
        rule = f"devices are numbered from 0 without gaps; {len(joined):,} ends cannot join {cluster.devices:,} devices"
        return [*found, Problem(rule, "edges")]
    alone = [d for d in range(cluster.devices) if d not in joined]
    if alone:
        found.append(Problem(f"without any link: device{'s' * (len(alone) > 1)} {spans(alone)}", "edges"))
    return found


def both_ways(a: str, b: str) -> tuple[tuple[Name, Name], tuple[Name, Name]]:
    """A link's two directions; ends that are numbers name devices."""
    x, y = (int(end) if end.isdigit() else end for end in (a, b))
    return (x, y), (y, x)


def unknown_ends(cluster: Cluster, ends: Mapping[tuple[Name, Name], int]) -> list[Problem]:
    """Dead or degraded links that the cluster does not have."""
    found = []
    named = [(f"dead_links[{i}]", a, b) for i, (a, b) in enumerate(cluster.dead_links)]
    named += [(f"degraded_links[{i}]", a, b) for i, (a, b, _) in enumerate(cluster.degraded_links)]
    for field, a, b in named:
        if not any(pair in ends for pair in both_ways(a, b)):
            nodes = sorted({str(end) for pair in ends for end in pair})
            lost = next((end for end in (a, b) if end not in nodes), a)
            near = difflib.get_close_matches(lost, nodes, 1)
            hint = f"did you mean {near[0]}?" if near and lost not in nodes else ""
            found.append(Problem("no link between these nodes", field, f"{a} – {b}", hint=hint))
    return found


def unreachable(cluster: Cluster, lost: list[int], stuck: list[int]) -> list[Problem]:
    """Which ranks cannot reach which: `lost` are not reached from device 0, `stuck` do not reach it."""
    rank = {device: r for r, device in enumerate(cluster.rank_order or range(cluster.devices))}
    found = []
    for without, word in ((set(lost), "cannot be reached from"), (set(stuck), "cannot reach")):
        if without:
            cut = sorted(rank[d] for d in without)
            kept = sorted(rank[d] for d in range(cluster.devices) if d not in without)
            found.append(Problem(f"the graph is cut: ranks {spans(cut)} {word} ranks {spans(kept)}", "cluster"))
    return found


def spans(numbers: list[int]) -> str:
    """0–3, 7, 9–12"""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts)
