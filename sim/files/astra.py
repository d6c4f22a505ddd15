"""ASTRA-sim files: `network.yml` and the modelled parts of `system.json`, in; `network.yml`, out.

Their units: 1 "GB/s" of a link is 2³⁰ B/s, latency is ns, `local-mem-bw` is 10⁹ B/s.  Their switch counts latency
twice (up and down), as ours does; a ring's bandwidth is per neighbour, a fully connected one's per peer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from sim.engine.astra import GIB, AstraDimension, AstraSystem
from sim.errors import InputError, Problem
from sim.fields import shown
from sim.files.loader import Node, load
from sim.network.records import Cluster, Level, LinkType

TOPOLOGIES: Final = {"Ring": "ring", "FullyConnected": "fully_connected", "Switch": "switch"}
_KEYS: Final = ("topology", "npus_count", "bandwidth", "latency")
_KINDS: Final = ("all-reduce", "reduce-scatter", "all-gather", "all-to-all")
_OPTIMIZATIONS: Final = ("localBWAware", "baseline")
_NS: Final = 1e-9
LARGEST: Final = 10**15
MOST_CHUNKS: Final = 4096
"""Chunks of one collective that are followed one by one."""


def is_network(path: Path) -> bool:
    """Whether a file looks like an ASTRA-sim `network.yml`."""
    if path.suffix not in (".yml", ".yaml") or not path.is_file():
        return False
    node = load(path)
    return isinstance(node.value, dict) and "npus_count" in node.value and "topology" in node.value


def read_network(path: Path) -> tuple[AstraDimension, ...]:
    """The dimensions of a `network.yml`, innermost first; InputError lists everything wrong with it."""
    node = load(path)
    lists: dict[str, list[Node]] = {}
    problems: list[Problem] = []
    for key in _KEYS:
        found = node.at(key)
        if found is None:
            problems.append(node.problem("is required in an ASTRA-sim network file", key))
        elif not isinstance(found.value, list) or not found.value:
            problems.append(found.problem("must be a list, one entry per dimension", key))
        else:
            lists[key] = found.value
    if not problems and len({len(values) for values in lists.values()}) > 1:
        sizes = ", ".join(f"{key} {len(values)}" for key, values in lists.items())
        problems.append(node.problem(f"every list needs one entry per dimension: {sizes}"))
    problems += [problem for key, values in lists.items() for value in values if (problem := _check(key, value))]
    if problems:
        raise InputError(*problems)
    columns = zip(*(lists[key] for key in _KEYS), strict=True)
    return tuple(AstraDimension(t.plain, n.plain, float(b.plain), float(lat.plain)) for t, n, b, lat in columns)


def _check(key: str, node: Node) -> Problem | None:
    value = node.plain
    number = isinstance(value, int | float) and not isinstance(value, bool)
    rule = ""
    if key == "topology" and str(value) not in TOPOLOGIES:
        rule = f"must be one of {', '.join(TOPOLOGIES)}"
    elif key == "npus_count" and not (isinstance(value, int) and number and value > 1):
        rule = "must be a whole number above 1"
    elif key == "bandwidth" and not (number and value > 0):
        rule = "must be positive (2^30 B/s)"
    elif key == "latency" and not (number and value >= 0):
        rule = "must not be negative (ns)"
    return node.problem(rule, key, repr(value)) if rule else None


def read_system(path: Path) -> AstraSystem:
    """The modelled parts of a `system.json`; keys that are not modelled are left alone."""
    node = load(path)
    if not isinstance(node.value, dict):
        raise InputError(node.problem("must be a JSON object"))
    problems: list[Problem] = []
    delay = _number(node, "endpoint-delay", 10, problems)
    splits = _number(node, "preferred-dataset-splits", 1, problems, MOST_CHUNKS)
    active = _number(node, "active-chunks-per-dimension", 1, problems, MOST_CHUNKS)
    memory = _number(node, "local-mem-bw", 0, problems)
    algorithms: dict[str, tuple[str, ...]] = {}
    for kind in _KINDS:
        there = node.at(f"{kind}-implementation")
        value = None if there is None else there.plain
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            algorithms[kind.replace("-", "_")] = tuple(value)
        elif there is not None:
            problems.append(there.problem("must be a list of names", f"{kind}-implementation", shown(value)))
    optimization = node.at("collective-optimization")
    if optimization is not None and optimization.plain not in _OPTIMIZATIONS:
        rule = f"must be one of {', '.join(_OPTIMIZATIONS)}"
        problems.append(optimization.problem(rule, "collective-optimization", shown(optimization.plain)))
    if problems:
        raise InputError(*problems)
    return AstraSystem(
        algorithms=algorithms,
        endpoint_delay_ns=int(delay),
        local_mem_gb=memory or None,
        splits=max(int(splits), 1),
        active=max(int(active), 1),
        optimization=_OPTIMIZATIONS[0] if optimization is None else str(optimization.plain),
    )


def _number(node: Node, key: str, default: float, problems: list[Problem], most: float = LARGEST) -> float:
    there = node.at(key)
    if there is None:
        return default
    value = there.plain
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
        return float(value)
    problems.append(there.problem(f"must be a number from 0 to {most:,.0f}", key, shown(value)))
    return default


def to_cluster(dims: tuple[AstraDimension, ...], name: str = "astra") -> Cluster:
    """The cluster our own models see: one level per dimension. A device's bandwidth covers all its links of a level,
    so a ring counts twice its per-neighbour figure and a fully connected level N-1 times."""
    levels = []
    devices = 1
    for i, dim in enumerate(dims):
        ports = {"Ring": 2 if dim.npus > 2 else 1, "FullyConnected": dim.npus - 1}.get(dim.topology, 1)
        link = LinkType(f"astra-{i}", dim.bandwidth_gib * GIB * ports, dim.latency_ns * _NS, links_per_device=ports)
        levels.append(Level(f"dim{i}", TOPOLOGIES[dim.topology], (dim.npus,), link))
        devices *= dim.npus
    return Cluster(name, "", devices, tuple(levels), source="ASTRA-sim network file")


def from_cluster(cluster: Cluster) -> tuple[AstraDimension, ...]:
    """The dimensions that express a cluster; InputError says what cannot be expressed."""
    problems: list[Problem] = []
    if not cluster.levels:
        problems.append(Problem("a graph of edges cannot be written as dimensions", "cluster"))
    if cluster.dead_links or cluster.degraded_links:
        problems.append(Problem("dead or degraded links cannot be written as dimensions", "cluster"))
    dims: list[AstraDimension] = []
    inside = 1
    for i, level in enumerate(cluster.levels):
        if level.size > 1:
            dims += _dimensions(level, inside, f"levels[{i}]", problems)
        inside *= level.size
    if cluster.devices == 1:
        problems.append(Problem("one device has no network to write", "cluster"))
    if problems:
        raise InputError(*problems)
    return tuple(dims)


def _dimensions(level: Level, inside: int, path: str, problems: list[Problem]) -> list[AstraDimension]:
    """A torus level is one ring per dimension; a fat tree without oversubscription is one switch."""
    flat = {"switch", "fat_tree", "leaf_spine"} if level.oversubscription == 1.0 else {"switch"}
    share = 1.0 if level.nics is None else level.nics / inside
    rate = level.link.bandwidth * level.link.efficiency * share / GIB
    latency = level.link.latency_s / _NS
    if level.topology in flat:
        return [AstraDimension("Switch", level.size, rate, latency)]
    if level.topology == "fully_connected":
        return [AstraDimension("FullyConnected", level.size, rate / (level.size - 1), latency)]
    if level.topology in ("ring", "torus"):
        sizes = [n for n in level.sizes if n > 1]
        port = rate / (2 * len(level.sizes))
        return [AstraDimension("Ring", n, port * (2 if n == 2 else 1), latency) for n in sizes]
    problems.append(Problem("cannot be written as an ASTRA-sim dimension", f"{path}.topology", level.topology))
    return []


def network_yaml(dims: tuple[AstraDimension, ...]) -> str:
    """The text of a `network.yml`."""
    table = {
        "topology": [d.topology for d in dims],
        "npus_count": [d.npus for d in dims],
        "bandwidth": [d.bandwidth_gib for d in dims],
        "latency": [d.latency_ns for d in dims],
    }
    return yaml.safe_dump(table, default_flow_style=None, sort_keys=False)
