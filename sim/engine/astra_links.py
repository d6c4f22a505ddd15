"""ASTRA-sim collectives message by message: the congestion-aware backend, and the double binary tree of both backends.

`congestion-aware`: store-and-forward on first-in-first-out links, one dimension.  Where all ranks send alike (the same
offsets at the same time over the same kinds of links) one rank stands for all: a message to itself over one link of
each kind, so that the work is that of the phases, not of phases times ranks.  Only halving-doubling on a ring and the
tree are run rank by rank.  All times in whole ns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, log2
from typing import Final, NamedTuple

from sim.engine.astra import (
    TREE,
    AstraDimension,
    AstraSystem,
    Kind,
    algorithm_of,
    halving_pieces,
    memory_ns,
    unaware_ns,
)
from sim.engine.messages import Links, Message, Phase, simulate_messages
from sim.errors import InputError, Problem

MOST_HOPS: Final = 5_000_000
"""Passages of a message over a link that one collective may take."""


class _Step(NamedTuple):
    """Every rank sends `nbytes` to the ranks `offsets` further (`exchange`: to rank XOR offset), `repeat` times."""

    offsets: Sequence[int]
    nbytes: int
    repeat: int = 1
    exchange: bool = False
    memory: int = 0


def collective_ns(
    dims: tuple[AstraDimension, ...], system: AstraSystem, kind: Kind, nbytes: int, congestion: bool = False
) -> int:
    """The answer of ASTRA-sim's backend, congestion-aware or not; `nbytes` of an all-gather is the shard of a rank."""
    if congestion:
        return _aware_ns(dims, system, kind, nbytes)
    if algorithm_of(dims, system, kind, 0) == TREE:
        return _tree_ns(dims[0], system, nbytes, congestion=False)
    return unaware_ns(dims, system, kind, nbytes)


def _aware_ns(dims: tuple[AstraDimension, ...], system: AstraSystem, kind: Kind, nbytes: int) -> int:
    if len(dims) > 1:
        rule = "is known for one dimension, as in ASTRA-sim's congestion-aware backend"
        raise InputError(Problem(rule, "--congestion", f"{len(dims)} dimensions"))
    dim = dims[0]
    algorithm = algorithm_of(dims, system, kind, 0)
    if algorithm == TREE:
        return _tree_ns(dim, system, nbytes, congestion=True)
    steps = steps_of(dim, system, algorithm, kind, ceil(nbytes / system.splits))
    alike = not (algorithm == "halvingDoubling" and dim.topology == "Ring")
    return steps_ns(dim, system, steps, alike)


def steps_ns(dim: AstraDimension, system: AstraSystem, steps: Sequence[_Step], alike: bool) -> int:
    """Time of `steps` on every rank; `alike`: one rank stands for all (each link stands for those of its kind)."""
    ranks = range(1) if alike else range(dim.npus)
    hops = sum(dim.hops(offset) * step.repeat for step in steps for offset in step.offsets)
    _bound(hops * len(ranks) * system.splits)

    def messages(step: _Step) -> tuple[Message, ...]:
        found = []
        for rank in ranks:
            for offset in step.offsets:
                target = rank ^ offset if step.exchange else (rank + offset) % dim.npus
                route = _route(dim, rank, target)
                if alike:
                    target, route = 0, tuple(_class(dim, link) for link in route)
                found.append(Message(rank, target, step.nbytes, route))
        return tuple(found)

    phases = [Phase(messages(step), step.repeat, step.memory) for step in steps]
    return _run([phases], len(ranks), dim, system)


def _bound(hops: int) -> None:
    if hops > MOST_HOPS:
        rule = f"follows at most {MOST_HOPS:,} passages over links"
        raise InputError(Problem(rule, "--astra-system", f"{hops:,} passages"))


def steps_of(dim: AstraDimension, system: AstraSystem, algorithm: str, kind: Kind, nbytes: int) -> list[_Step]:
    """Reduce-scatter, then all-gather in reverse; a piece that is reduced passes the memory (of halving-doubling, all
    but the first)."""
    n = dim.npus
    if algorithm == "halvingDoubling":
        out, back = halving_pieces(n, kind, nbytes)
        memory = [0, *(memory_ns(system, piece) for piece in out[1:])]
        reduce = [_Step((1 << k,), piece, 1, True, memory[k]) for k, piece in enumerate(out)]
        gather = [_Step((1 << k,), piece, 1, True) for k, piece in reversed(list(enumerate(back)))]
    else:
        piece = nbytes if kind == "all_gather" else nbytes // n
        offsets, repeat = ((1,), n - 1) if algorithm == "ring" else (range(1, n), 1)
        reduce = [_Step(offsets, piece, repeat, memory=memory_ns(system, piece))]
        gather = [_Step(offsets, piece, repeat)]
    return (reduce if kind != "all_gather" else []) + (gather if kind != "reduce_scatter" else [])


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


def _class(dim: AstraDimension, link: int) -> int:
    """The kind of a link of rank 0's routes: up or down, clockwise or counter-clockwise, or to which peer."""
    return link if dim.topology == "FullyConnected" else link // dim.npus


def _run(programs: Sequence[Sequence[Phase]], ranks: int, dim: AstraDimension, system: AstraSystem) -> int:
    count = {"Ring": 2, "Switch": 2}.get(dim.topology, dim.npus) * ranks
    links = Links([dim.bytes_per_ns] * count, [dim.latency_ns] * count)
    return _simulated(programs, ranks, links, system)


def _simulated(programs: Sequence[Sequence[Phase]], ranks: int, links: Links, system: AstraSystem) -> int:
    run = simulate_messages(
        programs[0],
        ranks,
        links,
        chunks=system.splits,
        active=system.active,
        forwarding="store_and_forward",
        endpoint_delay=system.endpoint_delay_ns,
        whole=True,
        others=programs[1:],
    )
    return int(run.time)


def _tree_ns(dim: AstraDimension, system: AstraSystem, nbytes: int, congestion: bool) -> int:
    """All-reduce up and down a binary tree, chunks in turn on a tree and on its mirror image, whose leaves are the
    inner nodes of the first (Sanders, Speck, Träff 2009, 10.1016/j.parco.2009.09.001); a chunk is not pipelined.

    Without congestion a message is one link of its own that takes `message_ns` and is never busy.
    """
    size = ceil(nbytes / system.splits)
    _bound(2 * (dim.npus - 1) * system.splits * (dim.hops(dim.npus // 2) if congestion else 1))

    def route(source: int, target: int) -> tuple[int, ...]:
        return _route(dim, source, target) if congestion else ((target - source) % dim.npus,)

    programs = []
    for mirrored in (False, True):
        up: list[Phase] = []
        down: list[Phase] = []
        for height, pairs in enumerate(tree_levels(dim.npus, mirrored)):
            memory = memory_ns(system, size)
            up.append(Phase(tuple(Message(a, b, size, route(a, b)) for a, b in pairs), delay=memory))
            passed_on = memory if height else 0
            down.append(Phase(tuple(Message(b, a, size, route(b, a)) for a, b in pairs), delay=passed_on))
        programs.append([*up, *reversed(down)])
    if congestion:
        return _run(programs, dim.npus, dim, system)
    offsets = range(dim.npus)
    links = Links([inf for _ in offsets], [dim.message_ns(size, offset) for offset in offsets])
    return _simulated(programs, dim.npus, links, system)


def tree_levels(ranks: int, mirrored: bool = False) -> list[list[tuple[int, int]]]:
    """(child, parent) by height of the child: an in-order perfect binary tree of N-1 ranks below the last rank;
    `mirrored`: rank r is N-1-r."""
    levels = []
    for height in range(int(log2(ranks))):
        bit = 1 << height
        children = range(bit, ranks, 2 * bit)
        pairs = [(child - 1, (child & ~bit | 2 * bit) - 1) for child in children]
        levels.append([(ranks - 1 - a, ranks - 1 - b) for a, b in pairs] if mirrored else pairs)
    return levels
