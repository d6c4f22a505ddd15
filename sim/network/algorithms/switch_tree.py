"""Reduction in the node's switch, double binary tree between nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from sim.network.algorithms.base import Case, Step
from sim.network.algorithms.double_binary_tree import TREE_EFFICIENCY, DoubleBinaryTree, Sends
from sim.network.algorithms.switch import Switch, reducing, through
from sim.network.load import Load
from sim.network.records import CollectiveCost
from sim.ops import CollectiveKind


class SwitchTree(DoubleBinaryTree):
    """Reduction in the node's switch, double binary tree between nodes, pipelined (NCCL's NVLSTree)."""

    name = "switch_tree"
    kinds: ClassVar[tuple[CollectiveKind, ...]] = ("all_reduce",)
    chains = False

    @classmethod
    def refusal(cls, case: Case) -> str:
        if case.node == 1 or case.n == case.node:
            return "needs a group of several nodes with several ranks each"
        return reducing(case, 1)

    @classmethod
    def considered(cls, case: Case) -> bool:
        return True

    @classmethod
    def load(cls, case: Case) -> Load:
        return Switch.ports(case, 0)[0] * Switch.share(case, 0) + super().load(case)

    @classmethod
    def cost(cls, case: Case) -> CollectiveCost:
        beta, alpha = Switch.step_cost(case, 0)
        load, _, net = cls.carried(case)
        fixed = alpha + 2 * (case.n // case.node - 1).bit_length() * net
        return cls.priced(case, fixed, max(beta, load.per_byte / TREE_EFFICIENCY))

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        """A piece into the node's switch, out to its carrier, up and down the tree of carriers, and back."""
        sends, g = Sends(), case.node
        parents = cls.parents(case)
        for piece in range(pieces):
            tree = np.full(case.n, -1, dtype=np.int64)
            parent, carrier = parents[piece // g % 2], piece % g
            tree[carrier::g] = np.where(parent >= 0, parent * g + carrier, -1)
            step = through(sends, case, 0, piece, piece, up=True)
            step = sends.climb(tree, np.array([piece]), up=True, down=True, start=step)
            through(sends, case, 0, piece, step, up=False)
        yield from sends.steps(case)
