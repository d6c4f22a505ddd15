"""Reduction in the switches."""

from __future__ import annotations

import numpy as np

from sim.network.algorithms.base import Case
from sim.network.algorithms.channels import Piped, Tree, switch_number
from sim.network.topologies.base import Ints


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
    def trees(cls, case: Case) -> list[Tree]:
        """All ranks below their node's switch, that below the rank at place 0, all those below the next switch …"""
        return [risen(case, len(case.digits), np.full(1, -1))]


def risen(case: Case, digits: int, parent: Ints) -> Tree:
    """The tree through the switches of the first digits, one rank of each block carrying the sum on; what stands above
    the last of them is `parent`, among those carriers (or the last switches, if these are all the digits)."""
    rank, above = [np.arange(case.n)], list[Ints]()
    nodes = case.n
    for i in range(digits):
        width, count = case.layout.weight(i), case.shape[i]
        blocks = np.arange(case.n // (width * count))
        above.append(nodes + np.arange(case.n // width) // count)
        rank.append(switch_number(case, i, blocks * width * count))
        nodes += len(blocks)
        if i < len(case.digits) - 1:
            above.append(nodes + blocks)
            rank.append(blocks * width * count)
            nodes += len(blocks)
    above.append(np.where(parent >= 0, parent + nodes - len(parent), -1))
    return Tree(np.concatenate(rank), np.concatenate(above))
