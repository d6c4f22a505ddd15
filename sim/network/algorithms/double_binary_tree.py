"""Double binary tree."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sim.network.algorithms.base import Case
from sim.network.algorithms.channels import Channel, Piped
from sim.network.topologies.base import Ints
from sim.ops import CollectiveKind


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
        chain = (False,) * cls.moved(case)
        return [Channel(chain, parent) for parent in cls.parents(case, case.n // cls.node(case))]

    @classmethod
    def parents(cls, case: Case, nodes: int) -> tuple[Ints, ...]:
        """The two trees over the nodes."""
        if nodes == 1:
            return (np.full(1, -1),)
        return double_tree(nodes) if case.kind == "all_reduce" else rooted_trees(nodes)


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
