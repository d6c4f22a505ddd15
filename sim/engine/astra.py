"""What ASTRA-sim 2.x means by its analytical network files, as our own model: integer ns, 1 "GB/s" = 2³⁰ B/s.

`congestion-unaware`: a message takes floor(hops·latency + bytes/bandwidth) whatever else is on the wire; a switch is
two hops of latency but one serialisation.  A collective over several dimensions is reduce-scatter outwards, all-reduce
on the last, all-gather back; chunks queue for each dimension.  `congestion-aware`: store-and-forward on first-in-
first-out links, one dimension only.  Semantics read from answers of revision 518bd513; the recorded answers are tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil, floor, log2
from typing import Literal

from sim.engine.messages import Links, Message, MessageRun, Phase, simulate_messages
from sim.errors import InputError, Problem

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


def _memory_ns(system: AstraSystem, nbytes: int) -> int:
    """A received piece is written once and read twice."""
    return 3 * floor(nbytes / system.local_mem_gb) if system.local_mem_gb else 0


def _ring_ns(dim: AstraDimension, system: AstraSystem, kind: Kind, nbytes: int) -> int:
    piece = nbytes if kind == "all_gather" else nbytes // dim.npus
    steps = (dim.npus - 1) * (2 if kind == "all_reduce" else 1)
    reduced = 0 if kind == "all_gather" else dim.npus - 1
    return (
        steps * dim.message_ns(piece, 1) + (steps + 1) * system.endpoint_delay_ns + reduced * _memory_ns(system, piece)
    )


def _direct_ns(dim: AstraDimension, system: AstraSystem, kind: Kind, nbytes: int) -> int:
    piece = nbytes if kind == "all_gather" else nbytes // dim.npus
    longest = max(dim.message_ns(piece, offset) for offset in range(1, dim.npus))
    steps = 2 if kind == "all_reduce" else 1
    reduced = 0 if kind == "all_gather" else 1
    return steps * longest + (steps + 1) * system.endpoint_delay_ns + reduced * _memory_ns(system, piece)


def _halving_doubling_ns(dim: AstraDimension, system: AstraSystem, kind: Kind, nbytes: int) -> int:
    """Pieces S/2, S/4 … at rank offset 1, 2, 4 …, then back; the first and largest piece pays no memory time."""
    rounds = int(log2(dim.npus))
    whole = nbytes * dim.npus if kind == "all_gather" else nbytes
    pieces = [(whole >> (k + 1), 1 << k) for k in range(rounds)]
    one_way = sum(dim.message_ns(piece, offset) for piece, offset in pieces)
    steps = rounds * (2 if kind == "all_reduce" else 1)
    memory = 0 if kind == "all_gather" else sum(_memory_ns(system, piece) for piece, _ in pieces[1:])
    total = one_way * (2 if kind == "all_reduce" else 1)
    return total + (steps + 1) * system.endpoint_delay_ns + memory


_PHASE_NS = {"ring": _ring_ns, "direct": _direct_ns, "halvingDoubling": _halving_doubling_ns}


def _algorithm(system: AstraSystem, kind: Kind, index: int, dims: int) -> str:
    names = system.algorithms.get(kind) or system.algorithms.get("all_reduce") or ("ring",) * dims
    if len(names) != dims or names[index] not in _PHASE_NS:
        raise InputError(
            Problem(
                "ASTRA-sim semantics are known for one of ring, direct, halvingDoubling per dimension",
                f"{kind.replace('_', '-')}-implementation",
                str(list(names)),
            )
        )
    return names[index]


def _stages(
    dims: tuple[AstraDimension, ...], system: AstraSystem, kind: Kind, nbytes: int
) -> Iterator[tuple[int, int]]:
    """(dimension, ns) of every stage one chunk of `nbytes` passes."""

    def stage(index: int, what: Kind, size: int) -> tuple[int, int]:
        name = _algorithm(system, what if kind != "all_reduce" else "all_reduce", index, len(dims))
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


def _route(dim: AstraDimension, source: int, target: int) -> tuple[int, ...]:
    """Links of the aware backend. Ring: 2N (clockwise, counter-clockwise), shortest way, ties clockwise;
    switch: N up, N down; fully connected: N²."""
    n = dim.npus
    if dim.topology == "Switch":
        return (source, n + target)
    if dim.topology == "FullyConnected":
        return (source * n + target,)
    forward = (target - source) % n
    if forward <= n - forward:
        return tuple((source + i) % n for i in range(forward))
    return tuple(n + (source - i) % n for i in range(n - forward))


def _aware_phases(dim: AstraDimension, algorithm: str, nbytes: int) -> list[Phase]:
    n = dim.npus

    def shift(offset: int, size: int) -> Iterator[Message]:
        return (Message(r, (r + offset) % n, size, _route(dim, r, (r + offset) % n)) for r in range(n))

    def exchange(offset: int, size: int) -> Phase:
        return Phase(tuple(Message(r, r ^ offset, size, _route(dim, r, r ^ offset)) for r in range(n)))

    if algorithm == "ring":
        return [Phase(tuple(shift(1, nbytes // n)), repeat=2 * (n - 1))]
    if algorithm == "direct":
        return [Phase(tuple(m for k in range(1, n) for m in shift(k, nbytes // n)), repeat=2)]
    down = [exchange(1 << k, nbytes >> (k + 1)) for k in range(int(log2(n)))]
    return down + down[::-1]


def aware_all_reduce(dim: AstraDimension, system: AstraSystem, nbytes: int) -> MessageRun:
    """All-reduce under the congestion-aware backend (one dimension, no reduction memory), message by message; ns."""
    chunks = max(system.splits, 1)
    algorithm = _algorithm(system, "all_reduce", 0, 1)
    count = {"Ring": 2 * dim.npus, "Switch": 2 * dim.npus}.get(dim.topology, dim.npus**2)
    links = Links([dim.bytes_per_ns] * count, [dim.latency_ns] * count)
    phases = _aware_phases(dim, algorithm, ceil(nbytes / chunks))
    return simulate_messages(
        phases,
        dim.npus,
        links,
        chunks=chunks,
        active=system.active,
        forwarding="store_and_forward",
        endpoint_delay=system.endpoint_delay_ns,
        whole=True,
    )
