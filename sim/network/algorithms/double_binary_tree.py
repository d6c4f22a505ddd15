"""Double binary tree."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from sim.network.algorithms.base import Case
from sim.network.algorithms.channels import Channel, Hierarchy, Piped, handing, hops
from sim.network.flows import Sends, Table
from sim.network.topologies.base import Ints
from sim.ops import CollectiveKind
from sim.records import dataclass

#: Of how many √n blocks of a tree are told what recurs.
FINE: Final = 4


class DoubleBinaryTree(Piped):
    """Chains in the node and two complementary trees between nodes, pipelined (NCCL's "tree"):
    all-reduce 2[(g-1)α_node + log₂M·α_net] + load/0.9.  A node's NICs share its two trees: one pair of trees for every
    place c in the node, whose chain ends at c.

    Broadcast and reduce: two trees over all ranks with rank 0 on top, half of the latency.
    Sources: Sanders, Speck & Träff, Parallel Computing 35 (2009); NCCL 2.x `tuning.cc` (latency, efficiency).
    """

    name = "double_binary_tree"
    kinds: ClassVar[tuple[CollectiveKind, ...]] = ("all_reduce", "broadcast", "reduce")

    @classmethod
    def considered(cls, case: Case) -> bool:
        return case.kind != "all_reduce" or not any(case.of_level(i).grid for i in range(len(case.digits)))

    @classmethod
    def node(cls, case: Case) -> int:
        return case.node if case.kind == "all_reduce" else 1

    @classmethod
    def moved(cls, case: Case) -> int:
        """Along the places in a node."""
        return int(cls.node(case) > 1)

    @classmethod
    def channels(cls, case: Case) -> list[Channel]:
        """Chains that end at place 0 of each node, and those ranks joined by a tree."""
        chain, nodes = (False,) * cls.moved(case), case.n // cls.node(case)
        trees = double_tree(nodes) if case.kind == "all_reduce" else rooted_trees(nodes)
        return [Channel(chain, tree) for tree in (trees if nodes > 1 else trees[:1])]


@dataclass(frozen=True)
class InOrder(Hierarchy):
    """The in-order binary tree on 0 … n-1 with root 0 above it, its blocks renamed: those below `fixed` keep their
    names, the others r are fixed + (±(r - fixed) + shift) mod (n - fixed)."""

    sign: int = 1
    shift: int = 0
    fixed: int = 0

    def renamed(self, rank: Ints) -> Ints:
        """The blocks of these ranks of the tree."""
        f, rest = self.fixed, max(1, self.n - self.fixed)
        return np.where(rank < f, rank, f + (self.sign * (rank - f) + self.shift) % rest)

    def up(self, rank: Ints) -> Ints:
        """The ranks above: r's lowest set bit b is its height; above it is (r without b) with 2b set, or r without b
        past the end."""
        bit = rank & -rank
        up = (rank ^ bit) | (bit << 1)
        return np.where(rank == 0, -1, np.where(up >= self.n, rank ^ bit, up))

    def above(self, block: Ints) -> Ints:
        f, rest = self.fixed, max(1, self.n - self.fixed)
        up = self.up(np.where(block < f, block, f + self.sign * (block - f - self.shift) % rest))
        return np.where(up < 0, -1, self.renamed(up))

    @property
    def period(self) -> int:
        """Ranks after which all but the highest of each period go as far up again; 0: they are too few."""
        period = FINE << self.n.bit_length() // 2
        return period if 4 <= period <= self.n // 4 else 0

    @property
    def begin(self) -> int:
        """Rank r is block ±r + this, up to where names begin anew."""
        return int(self.renamed(np.ones(1, dtype=np.int64))[0]) - self.sign

    @property
    def end(self) -> int:
        """Of ranks below this, all but the highest of each period are told together."""
        last = self.sign * (self.n - 1) + self.begin
        return (self.n if 0 <= last < self.n else self.n - 1) // self.period * self.period

    @property
    def high(self) -> Ints:
        """Ranks that are told one by one, and those above them."""
        return np.concatenate([np.arange(0, self.end, self.period // 2), np.arange(self.end, self.n)])

    @cached_property
    def sends(self) -> tuple[Sends, ...]:
        if not (period := self.period):
            return super().sends
        low = np.arange(period)
        low = low[low % (period // 2) > 0]
        begin, end = self.begin, self.end
        place, by = (self.sign * low + begin) % period, self.sign * (self.up(low) - low)
        order, once = np.argsort(place), self.renamed(self.high)
        often = Table(place[order], by[order], period, 1, self.n)
        first, last = sorted((begin + self.sign, begin + self.sign * (end - 1)))
        only = None if end == self.n else (first, last + 1, self.n)
        return Sends(table=often, only=only), handing(once, self.above(once), self.n)

    @cached_property
    def depth(self) -> int:
        if not (period := self.period):
            return super().depth
        high = self.high
        far = hops(np.searchsorted(high, self.up(high)) - (high == 0))
        whole = (high % period == period // 2) & (high < self.end)
        return max(int(far.max()), int(far[whole].max()) + (period // 2).bit_length() - 1)


def double_tree(n: int) -> tuple[InOrder, InOrder]:
    """Two trees such that (almost) every inner node of one is a leaf of the other: mirrored for even n, shifted by one
    for odd n."""
    return InOrder(n), InOrder(n, -1, n - 1) if n % 2 == 0 else InOrder(n, 1, 1)


def rooted_trees(n: int) -> tuple[InOrder, InOrder]:
    """As `double_tree`, with rank 0 on top of both."""
    return InOrder(n), InOrder(n, -1) if n % 2 == 1 else InOrder(n, 1, 1, fixed=1)
