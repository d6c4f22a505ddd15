"""Timings from a CSV: of a chip products, fused attention and streams through memory, of a cluster collectives.

Columns: `kind` and `seconds` in every row; of a gemm `format, m, n, k` and `batch` (else 1); of an attention `format,
sequence, heads, head_dim, causal, direction` and `batch` (else 1), `kv_heads` (else `heads`); of a memory row `bytes`,
read and written together; of a collective its name, `bytes` (the full buffer of one rank) and `devices`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, cast, get_args

from sim.device.records import Accelerator
from sim.errors import InputError, Problem
from sim.files.table_text import table_text
from sim.network.records import Cluster
from sim.ops import Attention, Collective, CollectiveKind, Format, Gemm, Lump, Op, executed_flops
from sim.records import dataclass

TimingKind = Literal["gemm", "attention", "memory", "collective"]
KINDS: Final[tuple[TimingKind, ...]] = get_args(TimingKind)
NEEDED: Final[Mapping[TimingKind, tuple[str, ...]]] = {
    "gemm": ("format", "m", "n", "k"),
    "attention": ("format", "sequence", "heads", "head_dim", "causal", "direction"),
    "memory": ("bytes",),
    "collective": ("collective", "bytes", "devices"),
}
OPTIONAL: Final[Mapping[TimingKind, tuple[str, ...]]] = {
    "gemm": ("batch",),
    "attention": ("batch", "kv_heads"),
    "memory": (),
    "collective": (),
}
COLUMNS: Final = tuple(
    dict.fromkeys(("kind", *(c for kind in KINDS for c in (*NEEDED[kind], *OPTIONAL[kind])), "seconds"))
)
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "causal": ("true", "false"),
    "direction": ("forward", "backward"),
    "collective": tuple(kind for kind in get_args(CollectiveKind) if kind not in ("send", "barrier")),
}
FASTEST: Final = 0.8  # of the time at the data sheet's peaks: clocks above the nominal one, never another unit of time
LARGEST: Final = 1e15  # of a size; beyond it no device holds the operand


@dataclass(frozen=True, slots=True)
class Timing:
    """One measured kernel or collective: its line in the file, what ran on how many devices, and how long (s)."""

    line: int
    kind: TimingKind
    op: Op
    seconds: float
    devices: int = 1


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of one row that are filled, and where what is wrong with them goes."""

    cells: Mapping[str, str]
    names: tuple[str, ...]
    file: str
    line: int
    base: Accelerator | Cluster
    problems: list[Problem]

    def wrong(self, rule: str, column: str, hint: str = "") -> None:
        at = self.names.index(column) + 1 if column in self.names else 1
        self.problems.append(Problem(rule, column, self.cells.get(column, ""), self.file, self.line, at, hint))

    def number(self, column: str, default: int = 0) -> float:
        """A positive number; `default` where the cell is empty."""
        text = self.cells.get(column)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < LARGEST:
            self.wrong("must be a positive number", column)
        elif column not in ("seconds", "bytes") and value != int(value):
            self.wrong("must be a whole number", column)
        return value if 0 < value < LARGEST else 1.0

    def whole(self, column: str, default: int = 0) -> int:
        return int(self.number(column, default))

    def choice(self, column: str) -> str:
        text = self.cells.get(column, "").lower()
        if text not in CHOICES[column]:
            self.wrong(f"must be {' or '.join(CHOICES[column])}", column)
        return text

    def format(self) -> Format:
        text, compute = self.cells.get("format", ""), cast(Accelerator, self.base).compute
        if text not in compute:
            self.wrong(f"{self.base.name} does not compute in this format", "format", f"it has {', '.join(compute)}")
        return cast(Format, text)


def kinds_of(base: Accelerator | Cluster) -> tuple[TimingKind, ...]:
    """What can be timed on a chip, or on a cluster."""
    return tuple(kind for kind in KINDS if (kind == "collective") == isinstance(base, Cluster))


def read_timings(path: Path, base: Accelerator | Cluster) -> tuple[Timing, ...]:
    """The timings of one file, taken on `base`; InputError names every wrong cell by line and column."""
    file = str(path)
    try:
        reader = csv.reader(table_text(path))
        names = tuple(name.strip() for name in next(reader, ()))
        table = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(Problem(f"cannot be read as CSV: {error}", file=file)) from None
    problems = [
        Problem("a column is missing", name, file=file, line=1, column=1, hint=f"columns: {', '.join(names) or 'none'}")
        for name in ("kind", "seconds")
        if name not in names
    ]
    for at, name in enumerate(names, start=1):
        if name not in COLUMNS:
            problems.append(Problem("no such column", name, "", file, 1, at, f"known: {', '.join(COLUMNS)}"))
        elif name in names[: at - 1]:
            problems.append(Problem("the column stands twice", name, "", file, 1, at))
    if problems:
        raise InputError(*problems)
    timings = [_timing(cells, names, file, line, base, problems) for line, cells in table]
    if not table:
        problems.append(Problem("has no rows", file=file))
    if problems:
        raise InputError(*problems)
    return tuple(timing for timing in timings if timing is not None)


def _timing(
    cells: list[str],
    names: tuple[str, ...],
    file: str,
    line: int,
    base: Accelerator | Cluster,
    problems: list[Problem],
) -> Timing | None:
    filled = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
    row = _Row(filled, names, file, line, base, problems)
    before = len(problems)
    if len(cells) > len(names):
        problems.append(
            Problem(f"has {len(cells)} cells under {len(names)} columns", "", "", file, line, len(names) + 1)
        )
    kind, kinds = filled.get("kind", ""), kinds_of(base)
    if kind not in kinds:
        row.wrong(f"must be one of {', '.join(kinds)}", "kind", "" if kind not in KINDS else _OTHER[len(kinds) == 1])
        return None
    for name in (*NEEDED[kind], "seconds"):
        if name not in filled:
            row.wrong(f"is missing for a row of kind {kind}", name)
    for name in filled.keys() - {"kind", "seconds", *NEEDED[kind], *OPTIONAL[kind]}:
        row.wrong(f"says nothing of a row of kind {kind}", name, "leave the cell empty")
    if len(problems) > before:
        return None
    op, seconds, devices = _OPS[kind](row), row.number("seconds"), row.whole("devices", 1)
    if isinstance(base, Cluster) and not 1 < devices <= base.devices:
        row.wrong(f"must be 2 to {base.devices}, all devices of {base.name}", "devices")
    if len(problems) == before and seconds < (least := FASTEST * _least(op, devices, base)):
        row.wrong(f"{base.name} cannot do this in less than {least:.3g} s", "seconds", "seconds, on this very machine?")
    return Timing(line, kind, op, seconds, devices) if len(problems) == before else None


def _least(op: Op, devices: int, base: Accelerator | Cluster) -> float:
    """Time at the peaks of the data sheet (s); operands of a product may lie in the cache; all a rank has, but what
    stays with it, leaves it through the fastest of its links."""
    if isinstance(base, Cluster):
        moved = cast(Collective, op).bytes * (devices - 1) / devices
        return moved / max(level.link.bandwidth for level in base.levels)
    if isinstance(op, Lump):
        return op.bytes_read / base.memory.bandwidth
    return executed_flops(op) / base.compute[op.format].peak_flops


def _gemm(row: _Row) -> Op:
    return Gemm("gemm", row.whole("m"), row.whole("n"), row.whole("k"), row.whole("batch", 1), row.format())


def _attention(row: _Row) -> Op:
    sequence, heads = row.whole("sequence"), row.whole("heads")
    kv_heads = row.whole("kv_heads", heads)
    if heads % kv_heads:
        row.wrong(f"must divide the {heads} heads", "kv_heads")
    return Attention(
        "attention",
        batch=row.whole("batch", 1),
        heads=heads,
        kv_heads=kv_heads,
        q_len=sequence,
        kv_len=sequence,
        head_dim=row.whole("head_dim"),
        causal=row.choice("causal") == "true",
        backward=row.choice("direction") == "backward",
        format=row.format(),
    )


def _memory(row: _Row) -> Op:
    return Lump("memory", 0.0, row.number("bytes"))


def _collective(row: _Row) -> Op:
    return Collective("collective", cast(CollectiveKind, row.choice("collective")), row.number("bytes"), "data")


_OPS: Final[Mapping[TimingKind, Callable[[_Row], Op]]] = {
    "gemm": _gemm,
    "attention": _attention,
    "memory": _memory,
    "collective": _collective,
}
_OTHER: Final = ("collectives are timed on a cluster: --cluster", "kernels are timed on a chip: --accelerator")
