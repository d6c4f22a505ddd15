"""Link and cluster files: hardware/links.yaml and hardware/clusters/*.yaml to the records of sim.network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Literal, TypeVar

from sim.errors import InputError, Problem
from sim.fields import Confidence, Record, Status, about, did_you_mean, join, same_as, shown
from sim.files.cluster_check import sound
from sim.files.fields import read
from sim.files.kinds import refuse_other_kind
from sim.files.library import find, names, real, root
from sim.files.library import shown as shown_path
from sim.files.loader import Node, load
from sim.files.merge import Resolver, merge
from sim.network.check import problems
from sim.network.optical import optical_problems, shaped
from sim.network.records import Cluster, Edge, Level, LinkType, Optical, Routing
from sim.network.resize import resize
from sim.network.topologies import TOPOLOGIES
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class LevelGroup(Record):
    """One level, innermost first."""

    name: str = field(metadata=same_as(Level, "name"))
    topology: str = field(metadata={**same_as(Level, "topology"), "choices": tuple(TOPOLOGIES)})
    link: object = field(
        metadata=about(
            "a link type, or a mapping `like: TYPE` with what differs; a ring port has half of its bandwidth"
        )
    )
    size: int | None = field(default=None, metadata=same_as(Level, "sizes", doc="members"))
    sizes: tuple[int, ...] = field(default=(), metadata=same_as(Level, "sizes", doc="dimensions of a torus or mesh"))
    nics: float | None = field(default=None, metadata=same_as(Level, "nics"))
    oversubscription: float = field(default=1.0, metadata=same_as(Level, "oversubscription"))
    options: Mapping[str, float | int | str] = field(default_factory=dict, metadata=same_as(Level, "options"))


@dataclass(frozen=True, slots=True)
class EdgeGroup(Record):
    """One link of a graph, in both directions unless `directed`."""

    ends: tuple[int | str, int | str] = field(metadata=same_as(Edge, "source", doc="device numbers or switch names"))
    link: str = field(default="", metadata=about("a link type, for what is left out here"))
    bandwidth: float | None = field(
        default=None, metadata=same_as(Edge, "bandwidth", doc="that payload reaches, per direction")
    )
    latency: float | None = field(default=None, metadata=same_as(Edge, "latency_s"))
    directed: bool = field(default=False, metadata=about("one direction only"))


@dataclass(frozen=True, slots=True)
class GraphGroup(Record):
    """Any graph."""

    edges: tuple[EdgeGroup, ...] = field(metadata=about("its links"))


@dataclass(frozen=True, slots=True)
class ClusterFile(Record):
    """A cluster: hardware/clusters/*.yaml."""

    name: str = field(metadata=same_as(Cluster, "name"))
    accelerator: object = field(metadata=about("name or file of an accelerator"))
    host: object = field(default=None, metadata=about("name or file of the node around the accelerators"))
    storage: object = field(default=None, metadata=about("name or file of the storage of data and checkpoints"))
    devices: int | Literal["auto"] | None = field(
        default=None,
        metadata=same_as(
            Cluster, "devices", doc="keeps nodes, scales the outermost level; auto: as many as the objective asks for"
        ),
    )
    levels: tuple[LevelGroup, ...] = field(default=(), metadata=same_as(Cluster, "levels"))
    graph: GraphGroup | None = field(default=None, metadata=about("instead of levels"))
    dead_links: tuple[tuple[int | str, int | str], ...] = field(default=(), metadata=same_as(Cluster, "dead_links"))
    degraded_links: tuple[tuple[int | str, int | str, float], ...] = field(
        default=(), metadata=same_as(Cluster, "degraded_links")
    )
    rank_order: tuple[int, ...] = field(default=(), metadata=same_as(Cluster, "rank_order"))
    routing: Routing = field(default=Routing.STATIC, metadata=same_as(Cluster, "routing"))
    optical: Optical | None = field(default=None, metadata=same_as(Cluster, "optical"))
    shape: tuple[int, ...] | Literal["auto"] | None = field(
        default=None,
        metadata=about(
            "dimensions the blocks are joined to, with `optical`; auto: those that serve the plan best", gt=0
        ),
    )
    twisted: bool | None = field(
        default=None,
        metadata=about("whether that torus is twisted, with `optical`; empty: no, with `shape: auto` either"),
    )
    status: Status = field(default=Status.HYPOTHETICAL, metadata=same_as(Cluster, "status"))
    source: str = field(default="", metadata=same_as(Cluster, "source"))
    confidence: Confidence = field(default=Confidence.B, metadata=same_as(Cluster, "confidence"))


def load_cluster(name_or_path: str | Path, base: Path | None = None) -> Cluster:
    """The cluster of that name in the library, or in that file (relative to folder `base`)."""
    return read_cluster(cluster_tree(find("clusters", str(name_or_path), base)))


def cluster_tree(path: Path) -> Node:
    """A cluster file as a scenario joins it: over what it extends, chip, host and storage in place of their names."""
    resolver, at = Resolver(), ("cluster",)
    own = resolver.file(path, at)
    refuse_other_kind(path, own, "cluster")
    node = resolver.resolved(resolver.extended(own, at, (real(path),)), at)
    if resolver.problems:
        raise InputError(*(replace(p, path=p.path.removeprefix("cluster.")) for p in resolver.problems))
    return node


def list_clusters() -> tuple[str, ...]:
    """Names in the library."""
    return names("clusters")


@cache
def _links_tree() -> Node:
    path = root() / "hardware" / "links.yaml"
    return load(path, shown_path(path))


@cache
def load_links() -> Mapping[str, LinkType]:
    """Every link type of hardware/links.yaml, by name."""
    return read_links(_links_tree())


def read_links(node: Node) -> dict[str, LinkType]:
    """Link types by name; every problem of every type at once."""
    links: dict[str, LinkType] = {}
    problems: list[Problem] = []
    for name, child in (node.value if isinstance(node.value, dict) else {}).items():
        try:
            links[name] = _link_type(name, child, name)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(*problems)
    return links


def _link_type(name: str, node: Node, path: str) -> LinkType:
    """A link from its mapping; `name` unless the mapping says its own."""
    if not isinstance(node.value, dict):
        raise InputError(node.problem("must be a mapping", path, shown(node.plain)))
    return read(LinkType, Node({"name": Node(name, node.mark)} | node.value, node.mark, node.key_mark), path)


def resolve_link(node: Node, path: str) -> LinkType:
    """A link by name, or a mapping: `like: NAME` and the fields that differ (every field without `like`)."""
    if isinstance(node.value, str):
        _known(node, path)
        return load_links()[node.value]
    like = node.at("like")
    if like is None or not isinstance(node.value, dict):
        _measured(node, path)
        return _link_type(path, node, path)
    given = Node({key: child for key, child in node.value.items() if key != "like"}, node.mark, node.key_mark)
    return _link_type(str(like.value), merge(_known(like, join(path, ["like"])), given, ("link",)), path)


def _measured(node: Node, path: str) -> None:
    """A link of no known type has no constants to inherit: what it reaches of its rate and what a launch costs must be
    said, `1` and `0 us` too."""
    missing = [name for name in ("efficiency", "base") if node.at(name) is None and node.at(f"{name}_s") is None]
    if missing and isinstance(node.value, dict) and (node.at("bandwidth") is not None):
        rule = f"without `like` says its own {' and '.join(missing)}: no link reaches all of its rate at no cost"
        hint = "like: infiniband-ndr, or another type of `foretrain hardware links`; else efficiency: 1, base: 0 us"
        raise InputError(node.problem(rule, path, hint=hint))


def _known(node: Node, path: str) -> Node:
    """The tree of the link type a node names."""
    tree = _links_tree()
    found = tree.at(node.value) if isinstance(node.value, str) else None
    if found is None:
        choices = tree.value if isinstance(tree.value, dict) else {}
        raise InputError(node.problem("unknown link type", path, shown(node.plain), did_you_mean(node.plain, choices)))
    return found


def read_cluster(node: Node, path: str = "") -> Cluster:
    """The cluster a node of YAML says; `devices` other than the levels' product resizes it."""
    try:
        file = read(ClusterFile, node, path)
    except InputError as error:
        raise InputError(*error.problems, *_wrong_links(node, path)) from None
    count = None if file.devices == "auto" else file.devices
    if bool(file.levels) == (file.graph is not None):
        raise InputError(node.problem("needs either levels or a graph", path))
    levels = _all(_level, file.levels, node, path, ["levels"])
    edges = tuple(
        edge
        for pair in _all(_edge, file.graph.edges if file.graph else (), node, path, ["graph", "edges"])
        for edge in pair
    )
    cluster = Cluster(
        name=file.name,
        accelerator=_accelerator_name(file.accelerator, node, path),
        devices=prod(level.size for level in levels) if levels else count or _devices_of(edges),
        levels=levels,
        edges=edges,
        dead_links=tuple((str(a), str(b)) for a, b in file.dead_links),
        degraded_links=tuple((str(a), str(b), left) for a, b, left in file.degraded_links),
        rank_order=file.rank_order,
        routing=file.routing,
        optical=file.optical,
        source=file.source,
        confidence=file.confidence,
        status=file.status,
    )
    if file.shape is not None or file.twisted is not None:
        cluster = _shaped(file, cluster, node, path)
    if count in (None, cluster.devices):
        return sound(cluster, node, path)
    try:
        _not_by_hand(cluster, node)
        smaller = resize(cluster, count or 1)
    except InputError as error:
        there, where = node.at("devices") or node, join(path, ["devices"])
        raise InputError(*(there.problem(p.rule, where, p.value, p.hint) for p in error.problems)) from None
    return sound(smaller, node, path)


def _shaped(file: ClusterFile, cluster: Cluster, node: Node, path: str) -> Cluster:
    """The cluster in the shape asked for; `auto` leaves that to the plan."""
    said = "twisted" if file.shape is None else "shape"
    there, where = node.at(said) or node, join(path, [said])
    if cluster.optical is None:
        raise InputError(
            there.problem("needs optical switches to join blocks", where, hint="optical: {block: [4, 4, 4], …}")
        )
    if optical_problems(cluster):
        return cluster  # told by `sound`
    if file.shape == "auto":
        return cluster
    made = shaped(cluster, file.shape, file.twisted)
    if file.shape is None:
        return made
    found = [replace(p, path=where) for p in problems(made)]
    if file.devices not in (None, made.devices):
        found.append(Problem(f"the shape has {made.devices} devices", join(path, ["devices"]), str(file.devices)))
    if found:
        raise InputError(*(there.problem(p.rule, p.path, p.value, p.hint) for p in found))
    return made


def _wrong_links(node: Node, path: str) -> Iterator[Problem]:
    """Link types that nobody knows, where something else of the cluster is wrong too."""
    levels = node.at("levels")
    for number in range(len(levels.value) if levels is not None and isinstance(levels.value, list) else 0):
        link = node.at("levels", number, "link")
        try:
            if link is not None and isinstance(link.value, str | dict):
                resolve_link(link, join(path, ["levels", number, "link"]))
        except InputError as error:
            yield from error.problems


def _devices_of(edges: Sequence[Edge]) -> int:
    """One more than the largest number of a device."""
    return max((end for edge in edges for end in (edge.source, edge.target) if isinstance(end, int)), default=0) + 1


def _not_by_hand(cluster: Cluster, node: Node) -> None:
    """A torus whose sizes and devices stand in one file is not resized: one of them is wrong."""
    devices, levels = node.at("devices"), node.at("levels")
    if devices is None or levels is None or not TOPOLOGIES[cluster.levels[-1].topology].many_sizes:
        return
    if devices.mark.line and devices.mark.file == levels.mark.file:
        sizes = " x ".join(str(n) for level in cluster.levels for n in level.sizes)
        rule = f"the sizes {sizes} multiply to {cluster.devices}"
        raise InputError(Problem(rule, "devices", str(devices.plain)))


def _accelerator_name(value: object, node: Node, path: str) -> str:
    """The name; a scenario has put the whole chip in its place."""
    name = value.get("name") if isinstance(value, Mapping) else value
    there = node.at("accelerator") or node
    if isinstance(name, str) or there.lost:
        return str(name)
    raise InputError(there.problem("must be the name of an accelerator", join(path, ["accelerator"]), shown(value)))


G = TypeVar("G")
R = TypeVar("R")


def _all(
    make: Callable[[G, Node, str], R], groups: Sequence[G], node: Node, path: str, steps: list[str]
) -> tuple[R, ...]:
    """`make` of every group with its node; problems of all of them together."""
    made: list[R] = []
    problems: list[Problem] = []
    for number, group in enumerate(groups):
        try:
            made.append(make(group, node.at(*steps, number) or node, join(path, [*steps, number])))
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(*problems)
    return tuple(made)


def _level(group: LevelGroup, node: Node, path: str) -> Level:
    sizes = group.sizes or ((group.size,) if group.size else ())
    if not sizes or (group.size and group.sizes):
        raise InputError(node.problem("needs either size or sizes", path))
    if any(n < 1 for n in sizes):
        raise InputError(node.problem("must be positive", join(path, ["sizes"]), str(list(sizes))))
    link = resolve_link(node.at("link") or node, join(path, ["link"]))
    return Level(group.name, group.topology, sizes, link, group.nics, group.oversubscription, group.options)


def _edge(group: EdgeGroup, node: Node, path: str) -> tuple[Edge, ...]:
    """One or both directions of a link."""
    link = resolve_link(node.at("link") or node, join(path, ["link"])) if group.link else None
    typical = link.bandwidth * link.efficiency if link else None  # what a port of that type carries
    bandwidth = typical if group.bandwidth is None else group.bandwidth
    latency = group.latency if group.latency is not None else link.latency_s if link else None
    if bandwidth is None or latency is None:
        raise InputError(node.problem("needs bandwidth and latency, or a link type", path))
    source, target = group.ends
    if any(isinstance(end, int) and end < 0 for end in group.ends):
        raise InputError(node.problem("device numbers start at 0", path, str(list(group.ends))))
    there = Edge(source, target, bandwidth, latency, group.link)
    return (there,) if group.directed else (there, replace(there, source=target, target=source))
