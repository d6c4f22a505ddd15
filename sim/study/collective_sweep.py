"""One collective over sizes, as nccl-tests prints it: time, algorithm and bus bandwidth, winner, busiest links."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Final

import numpy as np

from sim.engine.astra import AstraDimension, AstraSystem, Kind
from sim.engine.astra_links import collective_ns
from sim.errors import InputError, Problem
from sim.network import Cluster, Communicator, Group
from sim.network.protocols import SUFFIX
from sim.ops import CollectiveKind
from sim.records import dataclass
from sim.study.collective_levels import PIECES, Detail, WrittenOut

_NS: Final = 1e-9
_MOST_SIZES: Final = 10_000


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One size: the winner, its protocol, and the times of every algorithm that was asked for."""

    nbytes: float
    time_s: float
    algorithm: str
    protocol: str
    algbw_bytes_per_s: float
    busbw_bytes_per_s: float
    times_s: dict[str, float] = field(default_factory=dict)
    closed_s: float | None = None  # the closed form of the winner, where it was written out


@dataclass(frozen=True, slots=True)
class BusyLink:
    """`count` links that carry the same load, one of them by its ends."""

    source: str
    target: str
    count: int
    nbytes: float
    busy: float  # of the collective's time


@dataclass(frozen=True, slots=True)
class Sweep:
    """A collective on one group of a cluster."""

    cluster: str
    devices: int
    kind: CollectiveKind
    group: Group
    ranks: int
    rows: tuple[SweepRow, ...]
    busiest: tuple[BusyLink, ...] = ()
    detail: Detail = Detail.CLOSED


def bus_bytes(kind: CollectiveKind, nbytes: float, ranks: int) -> float:
    """Bytes that "bus bandwidth" counts (nccl-tests PERFORMANCE.md): 2(N-1)/N·S for an all-reduce, (N-1)/N·S for
    reduce-scatter, all-gather and all-to-all, S otherwise."""
    factor = {"all_reduce": 2.0, "reduce_scatter": 1.0, "all_gather": 1.0, "all_to_all": 1.0}.get(kind)
    return nbytes if factor is None else nbytes * factor * (ranks - 1) / ranks


def sizes_between(smallest: float, largest: float, factor: float = 2.0) -> list[float]:
    """smallest, smallest·factor … up to largest."""
    if smallest <= 0 or largest < smallest or factor <= 1:
        raise InputError(
            Problem("sizes run from a positive size to one not below it", "--from", f"{smallest:g} … {largest:g}")
        )
    if math.log(largest / smallest) / math.log(factor) > _MOST_SIZES:
        raise InputError(Problem(f"asks for more than {_MOST_SIZES:,} sizes", "--factor", str(factor)))
    sizes = [float(smallest)]
    while sizes[-1] * factor <= largest * (1 + 1e-9):
        sizes.append(sizes[-1] * factor)
    return sizes


def sweep(
    cluster: Cluster,
    kind: CollectiveKind,
    sizes: Sequence[float],
    group: Group,
    algorithm: str | None = None,
    detail: Detail = Detail.CLOSED,
    pieces: int = PIECES,
) -> Sweep:
    """Times of `kind` for every size. `algorithm`: a name, "all" (every one that can run, cheapest wins), or None
    (what a library would choose). `detail`: how far it is written out, a pipeline in so many `pieces`."""
    communicator = Communicator(cluster)
    ranks = len(group.ranks) or group.size
    if detail != Detail.CLOSED:
        rows = written_out(WrittenOut(communicator, kind, group, detail, pieces), sizes, ranks, algorithm)
        busiest = busiest_links(communicator, kind, rows[-1], group) if ranks > 1 and kind != "barrier" else ()
        return Sweep(cluster.name, cluster.devices, kind, group, ranks, tuple(rows), busiest, detail)
    if algorithm in (None, "auto"):
        costs = communicator.costs(kind, group)
    elif algorithm == "all":
        costs = (*communicator.costs(kind, group, every=True), *communicator.costs(kind, group))
    else:
        costs = (communicator.cost(kind, group, str(algorithm)),)
    rows = []
    for nbytes in sizes:
        times = {cost.algorithm: cost.seconds(nbytes) for cost in costs}
        rows.append(_row(kind, nbytes, ranks, times))
    busiest = (
        busiest_links(communicator, kind, rows[-1], group) if ranks > 1 and kind not in ("send", "barrier") else ()
    )
    return Sweep(cluster.name, cluster.devices, kind, group, ranks, tuple(rows), busiest)


def pipelined(cluster: Cluster, found: Sweep) -> bool:
    """Whether one of the algorithms that were written out cuts the buffer into as many pieces as it is told."""
    communicator = Communicator(cluster)
    names = {name for row in found.rows for name in row.times_s} if found.ranks > 1 else set()
    cut = (
        [communicator.schedule(found.kind, 1.0, found.group, name, chunks).pieces for chunks in (4, 8)]
        for name in sorted(names)
    )
    return any(few != many for few, many in cut)


def written_out(plan: WrittenOut, sizes: Sequence[float], ranks: int, algorithm: str | None) -> list[SweepRow]:
    """The rows of a collective at a level of detail; what a library would choose is chosen by its closed form."""
    communicator, kind, group = plan.communicator, plan.kind, plan.group
    if algorithm == "all":
        asked = [[cost.algorithm for cost in communicator.costs(kind, group, every=True)]] * len(sizes)
    elif algorithm in (None, "auto"):
        asked = [[communicator.choose(kind, size, group).algorithm.removesuffix(SUFFIX)] for size in sizes]
    else:
        asked = [[str(algorithm)]] * len(sizes)
    if ranks > 1:
        plan.check([name for names in asked for name in names])
    rows = []
    for size, names in zip(sizes, asked, strict=True):
        row = _row(kind, size, ranks, {name: plan.seconds(size, name) if ranks > 1 else 0.0 for name in names})
        closed = communicator.cost(kind, group, row.algorithm).seconds(size) if ranks > 1 else 0.0
        rows.append(replace(row, closed_s=closed))
    return rows


def _row(kind: CollectiveKind, nbytes: float, ranks: int, times: dict[str, float]) -> SweepRow:
    winner = min(times, key=lambda name: times[name])
    seconds = times[winner]
    name, _, protocol = winner.partition("/")
    algbw = nbytes / seconds if seconds > 0 else 0.0
    busbw = bus_bytes(kind, nbytes, ranks) / seconds if seconds > 0 else 0.0
    return SweepRow(nbytes, seconds, name, protocol or "normal", algbw, busbw, times)


def busiest_links(
    communicator: Communicator, kind: CollectiveKind, row: SweepRow, group: Group, most: int = 5
) -> tuple[BusyLink, ...]:
    """Links by the time they are busy, equal loads together, the busiest first."""
    load = communicator.load(kind, row.nbytes, group, row.algorithm)
    found: dict[float, tuple[float, int, int]] = {}  # share of the time → bytes, one link, how many
    for number in load.parts:
        block = load.blocks[number]
        for met in load.met(number):
            busy = np.round(met.quotients / row.time_s, 9)
            alike = np.broadcast_to(met.times.reshape(-1, *(1,) * (busy.ndim - 1)), busy.shape)
            many = alike.ravel() * (block.links // block.units // (busy.size // len(busy)))
            shares, first, which = np.unique(busy, return_index=True, return_inverse=True)
            for share, one, count in zip(shares, first, np.bincount(which.ravel(), many), strict=True):
                unit, *place = np.unravel_index(int(one), busy.shape)
                link = block.start + int(np.ravel_multi_index((met.units[unit], *place), (block.units, *block.inner)))
                before = found.get(float(share))
                whole = int(count) + (before[2] if before else 0)
                found[float(share)] = (*before[:2], whole) if before else (float(met.loads.flat[one]), link, whole)
    fullest = sorted((share for share in found if share > 0), reverse=True)[:most]
    ends = {share: communicator.topology.end(found[share][1]) for share in fullest}
    return tuple(
        BusyLink(str(ends[share][0]), str(ends[share][1]), found[share][2], found[share][0], share) for share in fullest
    )


def astra_sweep(
    name: str,
    dims: tuple[AstraDimension, ...],
    system: AstraSystem,
    kind: CollectiveKind,
    sizes: Sequence[float],
    congestion: bool = False,
) -> Sweep:
    """The same under ASTRA-sim's semantics (whole nanoseconds, chunks, endpoint delay), congestion-aware or not."""
    kinds: dict[CollectiveKind, Kind] = {
        "all_reduce": "all_reduce", "reduce_scatter": "reduce_scatter", "all_gather": "all_gather"
    }  # fmt: skip
    if kind not in kinds:
        raise InputError(Problem(f"ASTRA-sim semantics are known for {', '.join(kinds)}", "op", kind))
    ranks = 1
    for dim in dims:
        ranks *= dim.npus
    algorithms = system.algorithms.get(kind) or system.algorithms.get("all_reduce") or ("ring",) * len(dims)
    label = "+".join(algorithms)
    rows = []
    for nbytes in sizes:
        asked = int(nbytes) // ranks if kind == "all_gather" else int(nbytes)
        seconds = collective_ns(dims, system, kinds[kind], asked, congestion) * _NS
        rows.append(_row(kind, nbytes, ranks, {label: seconds}))
    return Sweep(name, ranks, kind, Group(ranks), ranks, tuple(rows))
