"""The answer of `foretrain collective`: table and JSON."""

from __future__ import annotations

from sim.report.text import duration, percent, si, size_text, table
from sim.study.collective_levels import Detail
from sim.study.collective_sweep import Sweep


def render(found: Sweep) -> str:
    """Terminal table, as nccl-tests orders its columns, and the busiest links of the largest size."""
    several = len({name for row in found.rows for name in row.times_s}) > 1
    written = found.detail != Detail.CLOSED
    header = ["size", "time", *(["closed form"] if written else []), "algbw", "busbw", "algorithm"]
    header += ["runner-up"] if several else []
    rows = []
    for row in found.rows:
        label = row.algorithm if row.protocol == "normal" else f"{row.algorithm} ({row.protocol})"
        closed = [duration(row.closed_s)] if row.closed_s is not None else []
        cells = [size_text(row.nbytes), duration(row.time_s), *closed, si(row.algbw_bytes_per_s, "B/s"),
                 si(row.busbw_bytes_per_s, "B/s"), label]  # fmt: skip
        if several:
            cells.append(_runner_up(row.times_s, row.algorithm))
        rows.append(cells)
    whole = f"{found.devices:,} device{'s' * (found.devices > 1)}"
    span = f"{found.ranks:,} of {whole}" if found.ranks < found.devices else whole
    level = f", {found.detail} by {found.detail}" if written else ""
    lines = [f"{found.kind.replace('_', '-')} on {found.cluster}, {span}{level}", "", table(header, rows, left=0)]
    if found.busiest:
        lines += ["", f"busiest links at {size_text(found.rows[-1].nbytes)}:"]
        lines += [
            f"  {link.source} → {link.target}"
            + (f" and {link.count - 1} more" if link.count > 1 else "")
            + f": {si(link.nbytes, 'B')}, busy {percent(link.busy)} of the time"
            for link in found.busiest
        ]
    return "\n".join(lines)


def _runner_up(times: dict[str, float], winner: str) -> str:
    others = sorted((t, name) for name, t in times.items() if name.partition("/")[0] != winner)
    return f"{others[0][1].partition('/')[0]} {duration(others[0][0])}" if others else ""


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
