"""Double binary tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Ends, Messages, Step
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.network.topologies.base import Ints
from sim.ops import CollectiveKind

#: Share of the ideal bandwidth a pipelined double tree reaches: NCCL tuning.cc multiplies tree bandwidth by 0.9.
TREE_EFFICIENCY = 0.9


class DoubleBinaryTree(Algorithm):
    """Chains in the node and two complementary trees between nodes, pipelined (NCCL's "tree"):
    all-reduce 2[(g-1)α_node + log₂M·α_net] + load/0.9.  A node's NICs share its two trees: one pair of trees for every
    place c in the node, whose chain ends at c.

    Broadcast and reduce: two trees over all ranks with rank 0 on top, half of the latency.
    Sources: Sanders, Speck & Träff, Parallel Computing 35 (2009); NCCL 2.x `tuning.cc` (latency, efficiency).
    """

    name = "double_binary_tree"
    kinds: ClassVar[tuple[CollectiveKind, ...]] = ("all_reduce", "broadcast", "reduce")
    chains = True  # inside the node

    @classmethod
    def considered(cls, case: Case) -> bool:
        return case.kind != "all_reduce" or not any(case.of_level(i).grid for i in range(len(case.digits)))

    @classmethod
    def node(cls, case: Case) -> int:
        return case.node if case.kind == "all_reduce" else 1

    @classmethod
    def parents(cls, case: Case) -> tuple[Ints, Ints]:
        """The two trees over the nodes."""
        nodes = case.n // cls.node(case)
        return double_tree(nodes) if case.kind == "all_reduce" else rooted_trees(nodes)

    @classmethod
    def flows(cls, case: Case) -> tuple[list[tuple[Ends, float]], list[tuple[Ends, float]]]:
        """(hand-over along chains, along trees) towards the root, in shares of the buffer."""
        g, nodes, place = cls.node(case), case.n // cls.node(case), np.arange(cls.node(case))
        chain = [(case.shift((0, 1)), (g - 1) / g)] if g > 1 and cls.chains else []
        tree = []
        for parent in cls.parents(case) if nodes > 1 else ():
            child = np.flatnonzero(parent >= 0)
            low, high = ((x[:, None] * g + place).ravel() for x in (child, parent[child]))
            tree.append((Ends(case, high, low), 0.5 / g))
        return chain, tree

    @classmethod
    def ways(cls, case: Case) -> tuple[bool, bool]:
        """(up, down)"""
        return case.kind != "broadcast", case.kind != "reduce"

    @classmethod
    def carried(cls, case: Case) -> tuple[Load, float, float]:
        """Load, latency of a hand-over in the node and between nodes."""
        total, latency = Load(case.topology.ledger), [0.0, 0.0]
        up, down = cls.ways(case)
        for number, flows in enumerate(cls.flows(case)):
            for ends, share in flows:
                for way in (*((ends,) if up else ()), *((ends.back,) if down else ())):
                    total = total + way.load * share
                    latency[number] = max(latency[number], way.latency)
        return total, latency[0], latency[1]

    @classmethod
    def load(cls, case: Case) -> Load:
        return cls.carried(case)[0]

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        load, chain, net = cls.carried(case)
        g, nodes = cls.node(case), case.n // cls.node(case)
        steps = (nodes - 1).bit_length()  # of an in-order tree
        fixed = sum(cls.ways(case)) * ((g - 1) * chain + steps * net)
        return cls.priced(case, fixed, load.per_byte / TREE_EFFICIENCY)

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        """Every tree has as many."""
        trees = cls.node(case) * (2 if case.n > cls.node(case) else 1)
        return trees * max(1, chunks // trees)

    @classmethod
    def trees(cls, case: Case) -> list[Ints]:
        """The rank above each, of every tree: chains that end at place c, whose ranks are joined by a tree."""
        g, nodes = cls.node(case), case.n // cls.node(case)
        chain = np.arange(nodes)[:, None] * g + (np.arange(g) + 1) % g
        found = []
        for c in range(g):
            for parent in cls.parents(case) if nodes > 1 else (np.full(1, -1),):
                tree = chain.copy()
                tree[:, c] = np.where(parent >= 0, parent * g + c, -1)
                found.append(tree.ravel())
        return found

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """A piece climbs one edge per step (a node sends when all its children have sent), and comes down after the
        root has all of it."""
        trees = cls.trees(case)
        sends = Sends()
        for number, parent in enumerate(trees):
            sends.climb(parent, np.arange(number, pieces, len(trees)), *cls.ways(case))
        yield from sends.steps(case)


class Sends:
    """Messages of single pieces by the step in which they leave."""

    def __init__(self) -> None:
        self.at: dict[int, list[tuple[int, int, int, bool]]] = {}

    def add(self, step: int, source: int, target: int, piece: int, reduce: bool) -> None:
        self.at.setdefault(step, []).append((source, target, piece, reduce))

    def climb(self, parent: Ints, pieces: Ints, up: bool, down: bool, start: int = 0) -> int:
        """Pieces up and down a tree, one behind the other; the step after the last."""
        level, height = levels(parent)
        top = int(height.max())
        for r in np.flatnonzero(parent >= 0).tolist():
            above = int(parent[r])
            for order, piece in enumerate(pieces.tolist()):
                if up:
                    self.add(start + int(height[r]) + order, r, above, piece, True)
                if down:
                    self.add(start + top * up + int(level[above]) + order, above, r, piece, False)
        return start + top * (up + down) + len(pieces)

    def steps(self, case: Case) -> Iterator[Step]:
        for t in sorted(self.at):
            parts = []
            for adds in (True, False):
                rows = [row[:3] for row in self.at[t] if row[3] == adds]
                if rows:
                    source, target, piece = np.array(rows, dtype=np.int64).T
                    parts.append(Messages(Ends(case, target, source), lambda piece=piece: piece, reduce=adds))  # type: ignore[misc]
            yield Step(tuple(parts))


def in_order_parent(n: int) -> Ints:
    """parent[r] of the in-order binary tree on 0 … n-1 with root 0 above it (−1: root).

    r's lowest set bit b is its height; its parent is (r without b) with 2b set, or r without b past the end.
    """
    rank = np.arange(n)
    bit = rank & -rank
    up = (rank ^ bit) | (bit << 1)
    parent = np.where(up >= n, rank ^ bit, up)
    parent[0] = -1
    return parent


def double_tree(n: int) -> tuple[Ints, Ints]:
    """Parents in two trees such that (almost) every inner node of one is a leaf of the other: mirrored for even n,
    shifted by one for odd n."""
    rank = np.arange(n)
    return renamed_twin(n, (n - 1 - rank) if n % 2 == 0 else (rank + 1) % n)


def rooted_trees(n: int) -> tuple[Ints, Ints]:
    """As `double_tree`, with rank 0 on top of both."""
    rank = np.arange(n)
    image = (n - rank) % n if n % 2 == 1 else np.where(rank == 0, 0, rank % max(1, n - 1) + 1)
    return renamed_twin(n, image)


def renamed_twin(n: int, image: Ints) -> tuple[Ints, Ints]:
    """The in-order tree, and itself with its ranks renamed."""
    first = in_order_parent(n)
    second = np.full(n, -1, dtype=np.int64)
    inner = first >= 0
    second[image[inner]] = image[first[inner]]
    return first, second


def levels(parent: Ints) -> tuple[Ints, Ints]:
    """(distance from the root, height above the deepest leaf below) of every node."""
    n = len(parent)
    level, height = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for r in range(n):
        at, steps = r, 0
        while parent[at] >= 0:
            at, steps = int(parent[at]), steps + 1
            height[at] = max(height[at], steps)
        level[r] = steps
    return level, height
