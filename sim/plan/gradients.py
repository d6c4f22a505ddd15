"""Parameters on their way between ranks: which gradients are summed where, in which buckets, and what that takes.

Bytes per rank for S bytes of gradients over N ranks (buffer sizes as in `ops.Collective`):
not sharded: all-reduce of S · sharded over n: reduce-scatter of S over n ranks, all-reduce of S/n over the N/n copies,
all-gather of the updated parameters over n · fully sharded: the gather twice, block by block (Rajbhandari et al. 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from sim.network import Communicator, Group
from sim.ops import BYTES_PER_ELEMENT
from sim.plan.framework import Gather
from sim.plan.groups import Groups
from sim.plan.layout import Part
from sim.plan.pricing import Pricer, sent_bytes
from sim.plan.records import Plan, Sharding
from sim.plan.step_record import Transfer
from sim.records import dataclass
from sim.workload.records import Numerics, Parameter

CHUNK_BYTES: Final = 4 * 2**20
"""What a pipelined ring has on one hop: a step of 512 KiB (NCCL: buffers of 4 MiB, 8 steps) on each of 8 channels.

The number of channels is an assumption, made with the rows of internevo_7b in sight."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """How gradients and parameters of one plan travel."""

    plan: Plan
    groups: Groups
    pricer: Pricer

    @property
    def numerics(self) -> Numerics:
        return self.pricer.numerics

    @property
    def communicator(self) -> Communicator:
        return self.pricer.communicator

    @property
    def gradient_bytes(self) -> float:
        """Per element on the wire."""
        return BYTES_PER_ELEMENT[self.plan.framework.communication_format or self.numerics.gradients]

    @property
    def weight_bytes(self) -> float:
        return BYTES_PER_ELEMENT[self.numerics.weights]

    def group(self, axis: str) -> tuple[Group, Group]:
        """(ranks one copy of the sharded state is spread over, ranks that hold the same shard)."""
        if axis == "expert":
            return self.groups.expert_data, Group(1)
        return self.groups.shard, self.groups.replicas

    def reduction(self, nbytes: float, axis: str = "data") -> Transfer:
        """The sum of `nbytes` of gradients over the ranks that hold the same weights."""
        shard, copies = self.group(axis)
        time, name = self.pricer.time, "reduce gradients"
        broadcast = self.plan.framework.gather == Gather.BROADCAST
        if self.plan.sharding == Sharding.NONE or (self.plan.sharding == Sharding.OPTIMIZER and broadcast):
            group = self.groups.expert_data if axis == "expert" else self.groups.data
            sent = sent_bytes("all_reduce", nbytes, group.size)
            return Transfer(name, axis, time("all_reduce", nbytes, group), nbytes, sent_bytes=sent)
        seconds, sent = time("reduce_scatter", nbytes, shard), sent_bytes("reduce_scatter", nbytes, shard.size)
        if copies.size > 1 and self.plan.framework.overlap_replicas:
            seconds += time("all_reduce", nbytes / shard.size, copies)
            sent += sent_bytes("all_reduce", nbytes / shard.size, copies.size)
        return Transfer(name, axis, seconds, nbytes, sent_bytes=sent)

    def across(self, parts: Iterable[Part], extra: float) -> Transfer | None:
        """The sum over the copies of a sharded group, of all gradients at once, where it does not run with backward."""
        shard, copies = self.group("data")
        if self.plan.sharding == Sharding.NONE or copies.size == 1 or self.plan.framework.overlap_replicas:
            return None
        held = (p.elements * part.count for part in parts for p in part.layer.parameters if p.reduce_axis == "data")
        part = (sum(held) + extra) * self.gradient_bytes / shard.size
        seconds, sent = self.pricer.time("all_reduce", part, copies), sent_bytes("all_reduce", part, copies.size)
        return Transfer("reduce over replicas", "data", seconds, part, sent_bytes=sent)

    def gather(self, nbytes: float, axis: str = "data", tensors: int = 0) -> Transfer:
        """`nbytes` of parameters, in so many `tensors`, collected from the ranks that updated them.

        Where every rank owns whole tensors they are broadcast one owner after the other: as many broadcasts as there
        are owners, min(N, tensors), each once around the ring (libraries have no other broadcast) of N ranks. The next
        broadcast starts when its owner has the one before, on average half of the ring away.
        """
        group = self.group(axis)[0]
        seconds = 0.0
        if self.plan.framework.gather == Gather.BROADCAST:
            owners = min(group.size, tensors or group.size)
            each = nbytes / owners
            once = self.communicator.time("broadcast", each, group, "ring")
            seconds = owners * (once + self.wave_s(each, group) / 2.0)
        else:
            seconds = self.pricer.time("all_gather", nbytes, group)
        return Transfer(
            "gather parameters", axis, seconds, nbytes, sent_bytes=sent_bytes("all_gather", nbytes, group.size)
        )

    def wave_s(self, nbytes: float, group: Group) -> float:
        """Seconds until the first chunk has gone around the ring: a rank passes a chunk on when it has all of it.

        Nodes of g ranks: g−1 hops inside and one to the next node, whose cards share the chunk.
        """
        send, one, levels = self.communicator.send, self.communicator.p2p, self.communicator.cluster.levels
        node = levels[0].size if levels else 1
        inside = min(group.size, max(1, node // group.stride))
        nodes = -(-group.size // inside)
        chunk = min(CHUNK_BYTES, nbytes)
        step = one(chunk, 0, group.stride) - one(0.0, 0, group.stride) if inside > 1 else 0.0
        far = group.stride * inside
        leap = send(chunk / inside, far) - send(0.0, far) if nodes > 1 else 0.0
        return nodes * (inside - 1) * step + (nodes - 1) * leap

    def rows(self, parameter: Parameter) -> Transfer:
        """An embedding's gradient as rows: the rows all ranks touched in a step, each once, on every rank.

        They are at most those of the table, however many ranks draw from it; how many meet before that depends on the
        data, so that none are taken to (an upper bound). Where duplicates stay, every rank sends all it has drawn.
        """
        plan, axis = self.plan, parameter.reduce_axis
        group = self.groups.expert_data if axis == "expert" else self.groups.data
        rows = parameter.sparse_rows * plan.passes / plan.embedding_shards * group.size
        if not plan.framework.duplicate_rows:
            rows = min(rows, parameter.elements / parameter.row_elements)
        nbytes = rows * parameter.row_elements * self.gradient_bytes
        sent = sent_bytes("all_gather", nbytes, group.size)
        return Transfer("embedding rows", axis, self.pricer.time("all_gather", nbytes, group), nbytes, sent_bytes=sent)

    def sparse(self, parameter: Parameter) -> bool:
        """Whether a gradient travels as rows."""
        return self.plan.sparse_embeddings and parameter.sparse_rows > 0


def reductions(exchange: Exchange, parts: Iterable[Part], copies: float = 0.0) -> tuple[Transfer, ...]:
    """Gradient collectives of a chunk in the order backward fills their buckets; one message per block at most.

    `copies` [elements] of tied weights join the first block of backward. Without overlap everything goes at once.
    """
    known: dict[Closing, Transfer] = {}  # equal blocks close equal buckets
    out: list[Transfer] = []
    for first, alike, closed in closings(exchange, parts, copies):
        for closing in closed:
            if closing not in known:
                known[closing] = _reduced(exchange, closing)
        out += (known[closing].at(place) for place in range(first, first + alike) for closing in closed)
    return tuple(m for m in out if exchange.pricer.lasts(m.seconds))


def reductions_s(
    exchange: Exchange, parts: Iterable[Part], copies: float, known: dict[Closing, tuple[str, float]]
) -> Iterator[tuple[str, float]]:
    """(axis, seconds) of all `reductions`, those of equal blocks together; `known` remembers them."""
    for _, alike, closed in closings(exchange, parts, copies):
        for closing in closed:
            if closing not in known:
                transfer = _reduced(exchange, closing)
                known[closing] = transfer.axis, transfer.seconds
            axis, seconds = known[closing]
            yield axis, alike * seconds


def _reduced(exchange: Exchange, closing: Closing) -> Transfer:
    axis, sizes = closing
    if isinstance(sizes, Parameter):
        return exchange.rows(sizes)
    return joined([exchange.reduction(nbytes, axis) for nbytes in sizes], 0)


Closing: TypeAlias = tuple[str, tuple[float, ...] | Parameter]
"""Of an axis: the bytes of the buckets that close after one block, or an embedding that travels as rows."""


def closings(
    exchange: Exchange, parts: Iterable[Part], copies: float = 0.0
) -> Iterator[tuple[int, int, list[Closing]]]:
    """What leaves in the backward pass, in order: after which block, how many blocks are alike, what after each."""
    plan = exchange.plan
    limit = plan.framework.bucket_bytes if plan.framework.overlap_gradients else float("inf")
    held = {"data": copies * exchange.gradient_bytes, "expert": 0.0}
    place = 0
    for part in reversed(tuple(parts)):
        left = part.count
        while left:
            before = held["data"], held["expert"]
            closed = list(_closed(exchange, part, held, limit))
            # a block that finds the buckets as the one before it leaves them alike
            alike = left if before == (held["data"], held["expert"]) else 1
            yield place + 1, alike, closed
            place, left = place + alike, left - alike
    for axis, nbytes in held.items():
        if nbytes > 0.0:
            yield place, 1, [(axis, (nbytes,))]


def _closed(exchange: Exchange, part: Part, held: dict[str, float], limit: float) -> Iterator[Closing]:
    """What one block of a part closes; `held` [bytes] is what the buckets hold, before and after."""
    sizes: dict[str, list[float]] = {axis: _full(held, axis, limit) for axis in held}  # tied weights may fill one
    for parameter in reversed(part.layer.parameters):
        if exchange.sparse(parameter):
            yield "data", parameter
            continue
        axis = parameter.reduce_axis
        held[axis] += parameter.elements * exchange.gradient_bytes
        sizes[axis] += _full(held, axis, limit)
    yield from ((axis, tuple(closed)) for axis, closed in sizes.items() if closed)


def _full(held: dict[str, float], axis: str, limit: float) -> list[float]:
    """The bucket of an axis, emptied, if it holds as much as it may."""
    if held[axis] < limit:
        return []
    nbytes, held[axis] = held[axis], 0.0
    return [nbytes]


def joined(transfers: Sequence[Transfer], place: int) -> Transfer:
    """Transfers of one kind, one after the other."""
    if len(transfers) == 1 and transfers[0].place == place:
        return transfers[0]
    return replace(
        transfers[0],
        seconds=sum(t.seconds for t in transfers),
        bytes=sum(t.bytes for t in transfers),
        place=place,
        sent_bytes=sum(t.sent_bytes for t in transfers),
    )


def gathers(exchange: Exchange, parts: Iterable[Part], copies: float = 0.0) -> tuple[Transfer, ...]:
    """Gathers of updated parameters in forward order, by buckets where they are prefetched (each before its block)."""
    plan = exchange.plan
    if plan.sharding not in (Sharding.OPTIMIZER, Sharding.GRADIENTS):
        return ()
    whole = not plan.framework.overlap_gathers or plan.framework.gather == Gather.BROADCAST
    limit = float("inf") if whole else plan.framework.bucket_bytes
    out: list[Transfer] = []
    held, first, place = {"data": 0.0, "expert": 0.0}, 0, 0
    tensors = {"data": 0, "expert": 0}
    for part in parts:
        for _ in range(part.count):
            for parameter in part.layer.parameters:
                held[parameter.reduce_axis] += parameter.elements * exchange.weight_bytes
                tensors[parameter.reduce_axis] += 1
            place += 1
            if sum(held.values()) >= limit:
                out += _gather(exchange, held, first, tensors)
                first = place
    held["data"] += copies * exchange.weight_bytes
    out += _gather(exchange, held, first, tensors)
    return tuple(m for m in out if exchange.pricer.lasts(m.seconds))


def _gather(exchange: Exchange, held: dict[str, float], place: int, tensors: dict[str, int]) -> list[Transfer]:
    out = []
    for axis, nbytes in held.items():
        if nbytes > 0.0:
            out.append(exchange.gather(nbytes, axis, tensors[axis]).at(place))
            held[axis] = 0.0
    return out


def block_transfers(exchange: Exchange, part: Part) -> tuple[Transfer | None, Transfer | None]:
    """(gather, reduction) of one fully sharded block, on the stream of the data axis."""
    if exchange.plan.sharding != Sharding.FULL:
        return None, None
    held = {"data": 0.0, "expert": 0.0}
    for parameter in part.layer.parameters:
        held[parameter.reduce_axis] += parameter.elements
    present = {axis: n for axis, n in held.items() if n}
    if not present:
        return None, None
    gather = joined([exchange.gather(n * exchange.weight_bytes, axis) for axis, n in present.items()], 0)
    reduce = joined([exchange.reduction(n * exchange.gradient_bytes, axis) for axis, n in present.items()], 0)
    gather = replace(gather, name=f"gather {part.layer.name}", axis="data")
    reduce = replace(reduce, name=f"reduce {part.layer.name}", axis="data")
    lasts = exchange.pricer.lasts
    return (gather if lasts(gather.seconds) else None), (reduce if lasts(reduce.seconds) else None)
