"""The registry of algorithms: which collectives each serves, on which groups, and which a library picks from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.network import pricing
from sim.network.pricing import Case, Pricer
from sim.ops import CollectiveKind

Check = Callable[[Case], str]
SCATTERS: tuple[CollectiveKind, ...] = ("all_reduce", "reduce_scatter", "all_gather")


@dataclass(frozen=True)
class Algorithm:
    """`check` says why a group cannot use it ("" if it can)."""

    price: Pricer
    kinds: tuple[CollectiveKind, ...]
    check: Check = lambda case: ""


def power_of_two(case: Case) -> str:
    if case.kind in ("all_reduce", "barrier") or case.n & (case.n - 1) == 0:
        return ""
    return f"needs a power of two of ranks for {case.kind}, the group has {case.n}"


def several_digits(case: Case) -> str:
    return "" if len(case.layout.digits) > 1 else "needs a group that spans several levels evenly"


def on_torus(case: Case) -> str:
    inside = all(
        d.level >= 0 and case.cluster.levels[d.level].topology in ("torus", "ring") for d in case.layout.digits
    )
    return "" if inside else "needs a group that fills dimensions of a torus"


def several_slices(case: Case) -> str:
    inside = pricing.slice_digits(case)
    return "" if 0 < inside < len(case.layout.digits) else "needs a group that fills tori joined by another level"


def reducing(case: Case, first: int | None = None) -> str:
    for digit in case.layout.digits[:first]:
        if digit.level < 0:
            return "needs a group that fills levels evenly"
        level = case.cluster.levels[digit.level]
        if not level.link.in_network_reduction or level.topology not in ("switch", "fat_tree", "leaf_spine", "rail"):
            return f"needs switches that reduce, level {level.name} has none"
    return ""


def reducing_node(case: Case) -> str:
    if case.node == 1 or case.n == case.node:
        return "needs a group of several nodes with several ranks each"
    return reducing(case, 1)


ALGORITHMS: dict[str, Algorithm] = {
    "ring": Algorithm(pricing.ring, (*SCATTERS, "broadcast", "reduce")),
    "bidirectional_ring": Algorithm(pricing.bidirectional_ring, SCATTERS),
    "double_binary_tree": Algorithm(pricing.double_binary_tree, ("all_reduce", "broadcast", "reduce")),
    "recursive_doubling": Algorithm(pricing.recursive_doubling, ("all_reduce", "all_gather", "barrier"), power_of_two),
    "halving_doubling": Algorithm(pricing.halving_doubling, ("all_reduce", "reduce_scatter"), power_of_two),
    "direct": Algorithm(pricing.direct, (*SCATTERS, "all_to_all")),
    "pairwise": Algorithm(pricing.pairwise, ("all_to_all",)),
    "hierarchical": Algorithm(pricing.hierarchical, SCATTERS, several_digits),
    "torus": Algorithm(pricing.torus, SCATTERS, on_torus),
    "multislice": Algorithm(pricing.multislice, SCATTERS, several_slices),
    "switch": Algorithm(pricing.switch, ("all_reduce",), reducing),
    "switch_tree": Algorithm(pricing.switch_tree, ("all_reduce",), reducing_node),
}

#: Vendor libraries choose from the others (NCCL documents Ring, Tree, CollNet, NVLS, NVLSTree; XLA runs
#: multi-dimensional rings on a torus); these run when they are named.
UNASKED = ("bidirectional_ring", "halving_doubling", "pairwise")


def in_library(name: str, case: Case) -> bool:
    """Whether a library would consider this algorithm unasked."""
    if name in UNASKED:
        return False
    if name == "direct":
        return case.kind == "all_to_all"
    if name == "recursive_doubling":
        return case.kind == "barrier"
    levels = [case.cluster.levels[d.level].topology for d in case.layout.digits if d.level >= 0]
    rings = [t in ("torus", "mesh", "ring") for t in levels]
    if name == "hierarchical":
        return any(rings[:-1])
    return name != "double_binary_tree" or case.kind != "all_reduce" or not any(rings)


def refusal(name: str, case: Case) -> str:
    """Why the algorithm cannot serve this collective on this group; "" if it can."""
    algorithm = ALGORITHMS[name]
    if case.kind not in algorithm.kinds:
        return f"does not do {case.kind}"
    return algorithm.check(case)
