"""What ASTRA-sim 2.x means by its analytical network files, as our own model: integer ns, 1 "GB/s" = 2³⁰ B/s.

`congestion-unaware`: a message takes floor(hops·latency + bytes/bandwidth) whatever else is on the wire; a switch is
two hops of latency but one serialisation.  A collective over several dimensions is reduce-scatter outwards, all-reduce
on the last, all-gather back; chunks queue for each dimension.  `engine.astra_links` has the congestion-aware backend
and the double binary tree.  Semantics read from answers of revision 518bd513; the recorded answers are tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from heapq import heappop, heappush
from math import ceil, floor, log2
from typing import Final, Literal

from sim.errors import InputError, Problem
from sim.records import dataclass

Kind = Literal["all_reduce", "reduce_scatter", "all_gather"]
GIB = 2.0**30


@dataclass(frozen=True, slots=True)
class AstraDimension:
    """One dimension of `network.yml`: Ring, FullyConnected or Switch; 2³⁰ B/s; ns."""

    topology: str
    npus: int
    bandwidth_gib: float
    latency_ns: float

    @property
    def bytes_per_ns(self) -> float:
        return self.bandwidth_gib * GIB / 1e9

    def hops(self, offset: int) -> int:
        """Latencies a message to the rank `offset` further pays."""
        if self.topology == "Ring":
            return min(offset % self.npus, -offset % self.npus)
        return 2 if self.topology == "Switch" else 1

    def message_ns(self, nbytes: float, offset: int) -> int:
        """floor(hops·latency + bytes/bandwidth)."""
        return floor(self.hops(offset) * self.latency_ns + nbytes / self.bytes_per_ns)


@dataclass(frozen=True, slots=True)
class AstraSystem:
    """The parts of `system.json` modelled here, with ASTRA-sim's defaults."""

    algorithms: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by kind, one name per dimension
    endpoint_delay_ns: int = 10
    local_mem_gb: float | None = None  # 10⁹ B/s; None: reductions cost nothing
    splits: int = 1  # preferred-dataset-splits
    active: int = 1  # active-chunks-per-dimension
    optimization: str = "localBWAware"


def memory_ns(system: AstraSystem, nbytes: int) -> int:
    """A received piece is written once and read twice."""
    return 3 * floor(nbytes / system.local_mem_gb) if system.local_mem_gb else 0


def _ring_ns(dim: AstraDimension, system: AstraSystem, kind: Kind, nbytes: int) -> int:
    piece = nbytes if kind == "all_gather" else nbytes // dim.npus
    steps = (dim.npus - 1) * (2 if kind == "all_reduce" else 1)
    reduced = 0 if kind == "all_gather" else dim.npus - 1
    return (
        steps * dim.message_ns(piece, 1) + (steps + 1) * system.endpoint_delay_ns + reduced * memory_ns(system, piece)
    )


def _direct_ns(dim: AstraDimension, system: AstraSystem, kind: Kind, nbytes: int) -> int:
    piece = nbytes if kind == "all_gather" else nbytes // dim.npus
    longest = max(dim.message_ns(piece, offset) for offset in range(1, dim.npus))
    steps = 2 if kind == "all_reduce" else 1
    reduced = 0 if kind == "all_gather" else 1
    return steps * longest + (steps + 1) * system.endpoint_delay_ns + reduced * memory_ns(system, piece)


def halving_pieces(npus: int, kind: Kind, nbytes: int) -> tuple[list[int], list[int]]:
    """Bytes of a message at rank offset 1, 2, 4 …, on the way out and on the way back.

    Out: S/2, S/4 …, each rounded down. An all-reduce comes back by doubling from ⌊S/2N⌋, one halving beyond its last
    piece: what that rounds off is not sent. An all-gather doubles its shard.
    """
    rounds = range(int(log2(npus)))
    last = nbytes * npus if kind == "all_gather" else nbytes // (2 * npus) * (2 * npus)
    return [nbytes >> (k + 1) for k in rounds], [last >> (k + 1) for k in rounds]


def _halving_doubling_ns(dim: AstraDimension, system: AstraSystem, kind: Kind, nbytes: int) -> int:
    """Out and back at rank offset 1, 2, 4 …; the first and largest piece pays no memory time."""
    out, back = halving_pieces(dim.npus, kind, nbytes)
    out, back = out if kind != "all_gather" else [], back if kind != "reduce_scatter" else []
    total = sum(dim.message_ns(piece, 1 << k) for way in (out, back) for k, piece in enumerate(way))
    memory = sum(memory_ns(system, piece) for piece in out[1:])
    return total + (len(out) + len(back) + 1) * system.endpoint_delay_ns + memory


_PHASE_NS = {"ring": _ring_ns, "direct": _direct_ns, "halvingDoubling": _halving_doubling_ns}
TREE: Final = "doubleBinaryTree"
_POWERS: Final = ("halvingDoubling", TREE)


def algorithm_of(dims: tuple[AstraDimension, ...], system: AstraSystem, kind: Kind, index: int) -> str:
    """The algorithm of one dimension; InputError where its answer is not known."""
    names = system.algorithms.get(kind) or system.algorithms.get("all_reduce") or ("ring",) * len(dims)
    key = f"{kind.replace('_', '-')}-implementation"
    if len(names) != len(dims) or names[index] not in (*_PHASE_NS, TREE):
        rule = f"ASTRA-sim semantics are known for one of {', '.join((*_PHASE_NS, TREE))} per dimension"
        raise InputError(Problem(rule, key, str(list(names))))
    name, npus = names[index], dims[index].npus
    if name == TREE and (len(dims) > 1 or kind != "all_reduce"):
        raise InputError(Problem("is known for an all-reduce over one dimension", key, name))
    if name in _POWERS and npus & (npus - 1):
        raise InputError(Problem(f"needs a power of two ranks, not {npus}", key, name))
    return name


def _stages(
    dims: tuple[AstraDimension, ...], system: AstraSystem, kind: Kind, nbytes: int
) -> Iterator[tuple[int, int]]:
    """(dimension, ns) of every stage one chunk of `nbytes` passes."""

    def stage(index: int, what: Kind, size: int) -> tuple[int, int]:
        name = algorithm_of(dims, system, kind, index)
        return index, _PHASE_NS[name](dims[index], system, what, size)

    last = len(dims) - 1
    if kind == "all_reduce" and system.optimization == "baseline":
        yield from (stage(i, "all_reduce", nbytes) for i in range(len(dims)))
        return
    size = nbytes
    if kind == "all_gather":
        for i in range(last, -1, -1):
            yield stage(i, kind, size)
            size *= dims[i].npus
        return
    for i in range(last if kind == "all_reduce" else last + 1):
        yield stage(i, "reduce_scatter", size)
        size //= dims[i].npus
    if kind == "all_reduce":
        yield stage(last, "all_reduce", size)
        for i in range(last - 1, -1, -1):
            yield stage(i, "all_gather", size)
            size *= dims[i].npus


def unaware_ns(dims: tuple[AstraDimension, ...], system: AstraSystem, kind: Kind, nbytes: int) -> int:
    """Answer of the congestion-unaware backend: chunks pass the stages; each dimension serves `active` at a time,
    in order of arrival."""
    chunks = max(system.splits, 1)
    stages = list(_stages(dims, system, kind, ceil(nbytes / chunks)))
    free = [[0] * system.active for _ in dims]
    ready: list[tuple[int, int, int]] = []  # (time, chunk, stage)
    for chunk in range(chunks):
        heappush(ready, (0, chunk, 0))
    end = 0
    while ready:
        time, chunk, position = heappop(ready)
        dim, duration = stages[position]
        start = max(time, heappop(free[dim]))
        heappush(free[dim], start + duration)
        end = max(end, start + duration)
        if position + 1 < len(stages):
            heappush(ready, (start + duration, chunk, position + 1))
    return end
