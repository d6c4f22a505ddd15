"""A Chakra trace under ASTRA-sim's semantics: every device runs the same trace, on two streams.

One computation and one collective are under way at a time; of the nodes whose dependencies are done, the smallest id
starts first.  A computation replays its recorded duration (1 ns where none is recorded).  All devices being alike, one
of them tells the time, and equal collectives are priced once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Final, Literal

from sim.engine.astra import TREE, AstraDimension, AstraSystem, Kind, algorithm_of
from sim.engine.astra_links import collective_ns
from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.workload.chakra import Node, Trace, Value, in_order

Stream = Literal["compute", "communication"]
_KINDS: Final[dict[Value, Kind]] = {0: "all_reduce", 2: "all_gather", 7: "reduce_scatter"}
"""Chakra's CollectiveCommType of the collectives whose answers are known."""


@dataclass(frozen=True, slots=True)
class TraceRun:
    """When the last node ended, how long each stream was busy, and how often the collectives ran; ns."""

    time_ns: int
    compute_ns: int
    communication_ns: int
    collectives: int

    @property
    def exposed_ns(self) -> int:
        """Time without computation, as ASTRA-sim counts exposed communication."""
        return self.time_ns - self.compute_ns


def run_trace(
    trace: Trace,
    dims: tuple[AstraDimension, ...],
    system: AstraSystem,
    congestion: bool = False,
    file: str = "",
) -> TraceRun:
    """Time of `trace` on every device of `dims`; InputError where a node has no known answer."""
    nodes = in_order(trace, file)
    problems = [Problem(rule, f"node {n.id}", n.name, file=file) for n in nodes if (rule := _unknown(n, len(dims)))]
    kinds = {_KINDS[n.attributes.get("comm_type", 0)] for n in nodes if n.kind == "comm_coll"} if not problems else ()
    if any(algorithm_of(dims, system, kind, 0) == TREE for kind in kinds):
        rule = "ends at another time on every rank, so that no rank stands for all in a trace"
        problems.append(Problem(rule, "all-reduce-implementation", TREE))
    if problems:
        raise InputError(*problems)
    prices: dict[tuple[Kind, int], int] = {}

    def duration(node: Node) -> int:
        if node.kind == "comp":
            return node.duration_us * 1000 or 1
        key = _KINDS[node.attributes.get("comm_type", 0)], _size(node)
        if key not in prices:
            prices[key] = collective_ns(dims, system, *key, congestion)
        return prices[key]

    return _two_streams(nodes, duration)


def _size(node: Node) -> int:
    value = node.attributes.get("comm_size", 0)
    return int(value) if isinstance(value, int | float) else 0


def _unknown(node: Node, dims: int) -> str:
    """Why a node cannot be run; nothing if it can."""
    given = node.attributes
    if node.kind not in ("metadata", "comp", "comm_coll"):
        return f"is a {node.kind}: only computation and collectives are run"
    if given.get("is_cpu_op"):
        return "runs on the host (is_cpu_op): only the device's two streams are run"
    if node.kind != "comm_coll":
        return ""
    if given.get("comm_type", 0) not in _KINDS:
        return f"has comm_type {given['comm_type']!r}: only {', '.join(_KINDS.values())} are known"
    if given.get("pg_name", "") not in ("", "0"):
        return "runs in a process group (pg_name): only collectives of all devices are known"
    involved = given.get("involved_dim", ())
    if isinstance(involved, tuple) and not all(involved[:dims]):
        return "leaves out a dimension (involved_dim): only collectives of all devices are known"
    return "" if _size(node) > 0 else "has no comm_size"


class _Waiting:
    """Nodes that wait for others, and those that are ready for a stream, by id."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.ready: dict[Stream, list[tuple[int, Node]]] = {"compute": [], "communication": []}
        self.followers: dict[int, list[Node]] = {}
        self.before: dict[int, int] = {}
        for node in nodes:  # each comes after those it depends on
            dependencies = {*node.control, *node.data}
            self.before[node.id] = len(dependencies)
            for dependency in dependencies:
                self.followers.setdefault(dependency, []).append(node)
        for node in [node for node in nodes if not self.before[node.id]]:
            self._release(node)

    def _release(self, node: Node) -> None:
        """Make `node` ready; metadata is done at once, with all metadata behind it."""
        free = [node]
        while free:
            node = free.pop()
            if node.kind == "metadata":
                free += self._freed_by(node)
            else:
                heappush(self.ready["communication" if node.kind == "comm_coll" else "compute"], (node.id, node))

    def _freed_by(self, node: Node) -> list[Node]:
        """The nodes that waited for nothing but `node`."""
        freed = []
        for follower in self.followers.get(node.id, ()):
            self.before[follower.id] -= 1
            if not self.before[follower.id]:
                freed.append(follower)
        return freed

    def finish(self, node: Node) -> None:
        """What depends on `node` waits for one less."""
        for follower in self._freed_by(node):
            self._release(follower)


def _two_streams(nodes: Sequence[Node], duration: Callable[[Node], int]) -> TraceRun:
    """Run `nodes` as their dependencies and the two streams allow."""
    waiting = _Waiting(nodes)
    running: list[tuple[int, int, Stream, Node]] = []  # (end, order of start, stream, node)
    busy: Counter[Stream] = Counter()
    taken: set[Stream] = set()
    now = started = collectives = 0
    while True:
        for stream, ready in waiting.ready.items():
            if ready and stream not in taken:
                node = heappop(ready)[1]
                took = duration(node)
                busy[stream] += took
                collectives += stream == "communication"
                started += 1
                taken.add(stream)
                heappush(running, (now + took, started, stream, node))
        if not running:
            return TraceRun(now, busy["compute"], busy["communication"], collectives)
        now, _, freed, done = heappop(running)
        taken.remove(freed)
        waiting.finish(done)
