"""Reduction in the switches."""

from __future__ import annotations

from sim.network.algorithms.base import Case
from sim.network.algorithms.channels import Channel, Hierarchy, Piped


def reducing(case: Case, first: int | None = None) -> str:
    """Refusal of groups whose (first) digits lack switches that add up."""
    for i in range(len(case.digits[:first])):
        level = case.level(i)
        if level is None:
            return "needs a group that fills levels evenly"
        if not level.link.in_network_reduction or not case.of_level(i).reduces:
            return f"needs switches that reduce, level {level.name} has none"
    return ""


class Switch(Piped):
    """Every rank sends S and receives S once, the levels pipelined: α + S·max β.  A node sends S once over all its
    ports, each of its g ranks 1/g; that this comes out of the node's switch to the rank, and back in, is in the rate.
    Rate = reduction efficiency of each link type.  Source: Graham et al., COM-HPC 2016."""

    name = "switch"
    kinds = ("all_reduce",)

    @classmethod
    def refusal(cls, case: Case) -> str:
        return reducing(case)

    @classmethod
    def moved(cls, case: Case) -> int:
        """A piece has one rank of the node (and of every block above) to carry it further."""
        return len(case.digits) - 1

    @classmethod
    def channels(cls, case: Case) -> list[Channel]:
        """All ranks below their node's switch, that below the rank at place 0, all those below the next switch …"""
        return [Channel((True,) * len(case.digits), Hierarchy(1))]
