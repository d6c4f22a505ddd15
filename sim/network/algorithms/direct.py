"""Direct: everyone to everyone at once."""

from __future__ import annotations

from collections.abc import Iterator

from sim.network.algorithms.base import SCATTERS, Algorithm, AllPairs, Case, Messages, Step


class Direct(Algorithm):
    """Every rank sends to every other at once: reduce-scatter, all-gather and all-to-all take α + S/N·load;
    an all-reduce takes both halves."""

    name = "direct"
    kinds = (*SCATTERS, "all_to_all")

    @classmethod
    def considered(cls, case: Case) -> bool:
        return case.kind == "all_to_all"

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        return case.n**2 if case.kind == "all_to_all" else case.n

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        ends = AllPairs(case)
        if case.kind == "all_to_all":
            yield Step((Messages(ends, lambda: ends.pairs[0] * case.n + ends.pairs[1]),))
            return
        scatter, gather = case.halves
        if scatter:
            yield Step((Messages(ends, lambda: ends.pairs[1], reduce=True),))
        if gather:
            yield Step((Messages(ends, lambda: ends.pairs[0]),))
