"""Embedding tables over the E ranks of a group: what a rank holds, what it looks up for all, what crosses.

Every rank has a sub-batch of its own; the owner of a row looks it up for all of them, sums the rows of one table and
sample, and sends the sum (a vector) to the sample's rank; gradients travel back the same way.  Ways to cut:
rows     dealt around the ranks, table after table: even, but for tables of fewer rows than ranks; a sum of p rows
         comes in E·(1 − (1 − 1/E)^p) parts
columns  a piece of every row each: even, but accesses are short
tables   whole ones, the largest first to where the larger of both shares (bytes, lookups) stays least
Small tables stand on every rank; their gradients are summed as those of dense weights are.  The rank that holds most
and the one that is busiest are taken for one; rows of a table are taken as drawn equally often.  Indices reach the
owner of their rows with the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from sim.errors import InputError, Problem
from sim.records import dataclass
from sim.workload.records import TableCut


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows of every table, and how many of them a sample sums."""

    rows: tuple[int, ...] = ()
    pooling: tuple[int, ...] = ()

    def split(self, most_rows: Sequence[float]) -> tuple[Tables, Tables]:
        """(tables that are cut, tables that stand on every rank: those of at most so many rows each)."""
        small = [rows <= most for rows, most in zip(self.rows, most_rows, strict=True)]
        return self._where([not each for each in small]), self._where(small)

    def _where(self, chosen: Sequence[bool]) -> Tables:
        picked = [n for n, each in enumerate(chosen) if each]
        return Tables(tuple(self.rows[n] for n in picked), tuple(self.pooling[n] for n in picked))


@dataclass(frozen=True, slots=True)
class TableShare:
    """What the fullest and busiest rank has of cut tables: rows held, and per sample of a rank's own sub-batch the rows
    it looks up and the vectors it sends; a row of it is `width` elements."""

    rows: float
    lookups: float
    vectors: float
    width: int


def parts_of_sum(rows: int, ranks: int) -> float:
    """Ranks that hold at least one of so many rows drawn at random (expected): a sum of them comes in as many parts."""
    return ranks * (1.0 - (1.0 - 1.0 / ranks) ** rows)


@lru_cache(maxsize=1024)
def table_share(tables: Tables, width: int, ranks: int, cut: TableCut) -> TableShare:
    """The share of one of the ranks."""
    if ranks == 1 or not tables.rows:
        return TableShare(float(sum(tables.rows)), float(sum(tables.pooling)), float(len(tables.rows)), width)
    if cut == TableCut.COLUMNS:
        _check_columns(width, ranks)
        return TableShare(
            float(sum(tables.rows)), float(ranks * sum(tables.pooling)), float(len(tables.rows)), width // ranks
        )
    return _whole_tables(tables, width, ranks) if cut == TableCut.TABLES else _rows(tables, width, ranks)


def _check_columns(width: int, ranks: int) -> None:
    if width % ranks:
        raise InputError(
            Problem(f"must divide the {width} elements of a row to cut tables by columns", "plan.expert", str(ranks))
        )


def _rows(tables: Tables, width: int, ranks: int) -> TableShare:
    """Rows dealt around: each table goes on where the last one ended."""
    held, lookups, vectors = [0] * ranks, [0.0] * ranks, [0.0] * ranks
    starts = accumulate(tables.rows, initial=0)
    for rows, pooled, start in zip(tables.rows, tables.pooling, starts, strict=False):
        parts = parts_of_sum(pooled, min(rows, ranks))
        each, extra = divmod(rows, ranks)
        for rank in range(ranks):
            mine = each + ((rank - start) % ranks < extra)
            held[rank] += mine
            lookups[rank] += ranks * pooled * mine / rows
            vectors[rank] += ranks * parts * mine / rows
    return TableShare(float(max(held)), max(lookups), max(vectors), width)


def _whole_tables(tables: Tables, width: int, ranks: int) -> TableShare:
    """Longest processing time first (Graham 1969), by the larger of two shares."""
    rows, pooled = sum(tables.rows), sum(tables.pooling)
    shares = sorted(((r / rows, p / pooled) for r, p in zip(tables.rows, tables.pooling, strict=True)), key=max)
    held = [(0.0, 0.0, 0)] * ranks
    for of_rows, of_lookups in reversed(shares):
        place = min(range(ranks), key=lambda n: max(held[n][0] + of_rows, held[n][1] + of_lookups))
        held[place] = (held[place][0] + of_rows, held[place][1] + of_lookups, held[place][2] + 1)
    most_rows, most_lookups, most_tables = (max(column) for column in zip(*held, strict=True))
    vectors = float(max(ranks * most_tables, len(tables.rows)))
    return TableShare(most_rows * rows, ranks * most_lookups * pooled, vectors, width)
