"""Reduction in the node's switch, double binary tree between nodes."""

from __future__ import annotations

from typing import ClassVar

from sim.network.algorithms.base import Case
from sim.network.algorithms.channels import Channel, Piped
from sim.network.algorithms.double_binary_tree import double_tree
from sim.network.algorithms.switch import reducing
from sim.ops import CollectiveKind


class SwitchTree(Piped):
    """Reduction in the node's switch, double binary tree between nodes, pipelined (NCCL's NVLSTree)."""

    name = "switch_tree"
    kinds: ClassVar[tuple[CollectiveKind, ...]] = ("all_reduce",)

    @classmethod
    def refusal(cls, case: Case) -> str:
        if case.node == 1 or case.n == case.node:
            return "needs a group of several nodes with several ranks each"
        return reducing(case, 1)

    @classmethod
    def moved(cls, case: Case) -> int:
        return 1

    @classmethod
    def channels(cls, case: Case) -> list[Channel]:
        """A node's ranks below its switch, that below the rank at place 0, those ranks joined by two trees."""
        return [Channel((True,), tree) for tree in double_tree(case.n // case.node)]
