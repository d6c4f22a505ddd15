"""What the network room finds wrong with a cluster, told with the place in the file."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from sim.errors import InputError, Problem
from sim.fields import join
from sim.files.loader import Node
from sim.network.build import topology
from sim.network.check import problems
from sim.network.records import Cluster

_STEP: Final = re.compile(r"[A-Za-z_]+|\d+")
_LISTS: Final = ("dead_links", "degraded_links", "rank_order", "graph")


def sound(cluster: Cluster, node: Node, path: str) -> Cluster:
    """The cluster itself; InputError with file and line if its numbers do not fit together, if a dead link does not
    exist, or if its graph is cut in two."""
    found = problems(cluster)
    if not found:
        try:
            topology(cluster)
        except InputError as error:
            found = list(error.problems)
    if found:
        raise InputError(*dict.fromkeys(_placed(problem, node, path) for problem in found))
    return cluster


def _placed(problem: Problem, node: Node, path: str) -> Problem:
    """A problem of the network room (levels[0].sizes, edges[3].bandwidth, cluster) at its node."""
    steps: list[str | int] = [int(s) if s.isdigit() else s for s in _STEP.findall(problem.path)]
    if steps[:1] == ["edges"]:
        steps = ["graph", *steps] if len(steps) == 1 else ["graph", "edges", _line_of(node, steps[1]), *steps[2:]]
    elif steps == ["cluster"]:
        steps = [next((name for name in _LISTS if node.at(name)), "levels")]
    if steps[-1:] == ["sizes"] and node.at(*steps) is None:
        steps[-1] = "size"
    there = node
    for k in range(len(steps), 0, -1):
        below = node.at(*steps[:k])
        if below is not None:
            there = below
            break
    mark = there.mark
    return replace(problem, path=join(path, steps), file=mark.file, line=mark.line, column=mark.column)


def _line_of(node: Node, edge: str | int) -> int:
    """Which entry of `graph.edges` made a directed edge: each makes two unless it is `directed`."""
    entries = node.at("graph", "edges")
    made = 0
    for number, entry in enumerate(entries.value if entries and isinstance(entries.value, list) else []):
        one_way = entry.at("directed")
        made += 1 if one_way is not None and one_way.value is True else 2
        if made > int(edge):
            return number
    return 0
