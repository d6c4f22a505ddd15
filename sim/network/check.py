"""Everything that can be wrong with a cluster, found at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from sim.errors import Problem
from sim.network.composed import ROUTERS
from sim.network.levels import Name
from sim.network.records import Cluster, Level

#: Options a topology knows, and the least value of each (0 where none is named).
OPTIONS: dict[str, tuple[str, ...]] = {
    "fat_tree": ("leaf", "tiers", "pod", "hop_latency_s"),
    "leaf_spine": ("leaf", "tiers", "pod", "hop_latency_s"),
    "rail": ("leaf", "tiers", "pod", "hop_latency_s", "pxn"),
    "dragonfly": ("local_links", "global_links", "hop_latency_s"),
}
LEAST = {"leaf": 1, "tiers": 2, "pod": 1, "local_links": 0.001, "global_links": 0.001}
TREES = ("fat_tree", "leaf_spine", "rail", "dragonfly")


def problems(cluster: Cluster) -> list[Problem]:
    """What is wrong with the numbers and names of a cluster (its connectivity is checked on the built graph)."""
    found = []
    if cluster.rank_order and sorted(cluster.rank_order) != list(range(cluster.devices)):
        found.append(Problem(f"must hold every device 0 … {cluster.devices - 1} once", "rank_order"))
    if bool(cluster.levels) == bool(cluster.edges) and cluster.devices != 1:
        found.append(Problem("give either levels or edges", "levels"))
    return found + (edge_problems(cluster) if cluster.edges else level_problems(cluster))


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
    if level.topology not in ROUTERS:
        near = difflib.get_close_matches(level.topology, ROUTERS, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(ROUTERS)}"
        found.append(Problem("unknown topology", f"{path}.topology", level.topology, hint=hint))
    if level.topology == "hybrid_cube_mesh" and level.size != 8:
        found.append(Problem("a hybrid cube mesh (DGX-1) joins 8 devices", f"{path}.sizes", str(level.sizes)))
    if level.topology == "ring" and len(level.sizes) != 1:
        found.append(Problem("a ring has one size; use torus for several", f"{path}.sizes", str(level.sizes)))
    if level.topology == "dragonfly" and len(level.sizes) != 3:
        rule = "a dragonfly has three sizes: members per router, routers per group, groups"
        found.append(Problem(rule, f"{path}.sizes", str(level.sizes)))
    if level.oversubscription != 1 and level.topology not in TREES:
        rule = f"{level.topology} has no trunks to oversubscribe; use one of {', '.join(TREES)}"
        found.append(Problem(rule, f"{path}.oversubscription", str(level.oversubscription)))
    return found + (option_problems(level, path) if level.topology in ROUTERS else [])


def option_problems(level: Level, path: str) -> list[Problem]:
    """Options are few and numbers; `leaf`, `tiers` and `pod` must fit together."""
    found, known = [], OPTIONS.get(level.topology, ())
    for name, value in level.options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            choice = f"{level.topology} knows {', '.join(known)}" if known else f"{level.topology} has none"
            rule, hint = f"no such option; {choice}", f"did you mean {near[0]}?" if near else ""
            found.append(Problem(rule, f"{path}.options.{name}", str(value), hint=hint))
        elif not isinstance(value, int | float) or isinstance(value, bool) or value < LEAST.get(name, 0):
            rule = f"must be a number of at least {LEAST.get(name, 0)}"
            found.append(Problem(rule, f"{path}.options.{name}", str(value)))
    if found:
        return found
    tiers, leaf, pod = (float(level.options.get(name, 0)) for name in ("tiers", "leaf", "pod"))
    if tiers not in (0, 2, 3):
        found.append(Problem("a fat tree has 2 or 3 tiers", f"{path}.options.tiers", f"{tiers:g}"))
    if pod and tiers != 3:
        found.append(Problem("pods are those of 3 tiers", f"{path}.options.pod", f"{pod:g}", hint="add tiers: 3"))
    if pod and leaf and pod < level.size and pod % leaf:
        found.append(Problem(f"must be a multiple of leaf, {leaf:g}", f"{path}.options.pod", f"{pod:g}"))
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


def unreachable(
    cluster: Cluster, out: Mapping[Name, Iterable[tuple[int, Name]]], into: Mapping[Name, Iterable[Name]]
) -> list[Problem]:
    """Which ranks cannot reach which: everyone must reach device 0 and be reached from it."""
    forward = reached({a: [b for _, b in links] for a, links in out.items()})
    backward = reached(into)
    rank = {device: r for r, device in enumerate(cluster.rank_order or range(cluster.devices))}
    found = []
    for seen, word in ((forward, "cannot be reached from"), (backward, "cannot reach")):
        lost = sorted(rank[d] for d in range(cluster.devices) if d not in seen)
        kept = sorted(rank[d] for d in range(cluster.devices) if d in seen)
        if lost:
            found.append(Problem(f"the graph is cut: ranks {spans(lost)} {word} ranks {spans(kept)}", "cluster"))
    return found


def reached(links: Mapping[Name, Iterable[Name]]) -> set[Name]:
    """Nodes reached from device 0."""
    seen: set[Name] = {0}
    stack: list[Name] = [0]
    while stack:
        for node in links.get(stack.pop(), ()):
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return seen


def spans(numbers: list[int]) -> str:
    """0–3, 7, 9–12"""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts)
