"""The answer of `foretrain collective`: table and JSON."""

from __future__ import annotations

from sim.report.tables import Cell, Column, Table
from sim.report.text import percent, si, size_text
from sim.study.collective_levels import Detail
from sim.study.collective_sweep import Sweep


def render(found: Sweep) -> str:
    """Terminal table, as nccl-tests orders its columns, and the busiest links of the largest size."""
    whole = f"{found.devices:,} device{'s' * (found.devices > 1)}"
    span = f"{found.ranks:,} of {whole}" if found.ranks < found.devices else whole
    level = "" if found.detail == Detail.CLOSED else f", {found.detail} by {found.detail}"
    lines = [f"{found.kind.replace('_', '-')} on {found.cluster}, {span}{level}", "", as_table(found).text()]
    if found.busiest:
        lines += ["", f"busiest links at {size_text(found.rows[-1].nbytes)}:"]
        lines += [
            f"  {link.source} → {link.target}"
            + (f" and {link.count - 1} more" if link.count > 1 else "")
            + f": {si(link.nbytes, 'B')}, busy {percent(link.busy)} of the time"
            for link in found.busiest
        ]
    return "\n".join(lines)


def as_table(found: Sweep) -> Table:
    """A row per size, as nccl-tests orders its columns; the runner-up where several algorithms were asked for."""
    several = len({name for row in found.rows for name in row.times_s}) > 1
    written = found.detail != Detail.CLOSED
    columns = [Column("size", "size"), Column("time", "seconds"), *[Column("closed form", "seconds")] * written]
    columns += [Column("algbw", "si", "B/s"), Column("busbw", "si", "B/s"), Column("algorithm")]
    rows: list[tuple[Cell, ...]] = []
    for row in found.rows:
        label = row.algorithm if row.protocol == "normal" else f"{row.algorithm} ({row.protocol})"
        others = sorted((t, n) for n, t in row.times_s.items() if n.partition("/")[0] != row.algorithm)
        second: tuple[Cell, ...] = (others[0][1].partition("/")[0], others[0][0]) if others else (None, None)
        times = (row.time_s, row.closed_s) if written else (row.time_s,)
        measured = (row.nbytes, *times, row.algbw_bytes_per_s, row.busbw_bytes_per_s, label)
        rows.append((*measured, *second) if several else measured)
    runner_up = (Column("runner-up"), Column("its time", "seconds")) if several else ()
    return Table((*columns, *runner_up), tuple(rows))


def to_json(found: Sweep) -> dict[str, object]:
    """One object with `rows`; sizes in bytes, times in seconds."""
    return {
        "cluster": found.cluster,
        "devices": found.devices,
        "collective": found.kind,
        "group": {"ranks": found.ranks, "stride": found.group.stride, "list": list(found.group.ranks)},
        "level": str(found.detail),
        "rows": [
            {
                "bytes": int(row.nbytes) if float(row.nbytes).is_integer() else row.nbytes,
                "time_s": row.time_s,
                "algorithm": row.algorithm,
                "protocol": row.protocol,
                "algbw_bytes_per_s": row.algbw_bytes_per_s,
                "busbw_bytes_per_s": row.busbw_bytes_per_s,
                "times_s": row.times_s,
                **({} if row.closed_s is None else {"closed_s": row.closed_s}),
            }
            for row in found.rows
        ],
        "busiest_links": [
            {"source": x.source, "target": x.target, "count": x.count, "bytes": x.nbytes, "busy": x.busy}
            for x in found.busiest
        ],
    }
