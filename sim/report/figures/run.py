"""Pictures of one run: where a step and a campaign spend their time, what memory holds, how a step goes."""

from __future__ import annotations

from collections.abc import Sequence

from sim.engine.campaign.records import CampaignResult
from sim.engine.records import Slice, Step
from sim.plan.records import DeviceMemory
from sim.report.figures.kit import BLUE, GREEN, GREY, INK, ORANGE, PALETTE, PURPLE, RED, Figure, Trace, axis, bars
from sim.report.tables import Cell, Column, Table
from sim.report.text import DAY, duration, gib, percent, size_text

UNLIMITED = 1e16  # bytes: a capacity given to leave memory out of a question
MOST_SLICES = 4000
MOST_TRACKS = 24
BYTES = {"bytes": "buffer", "dram_bytes": "memory traffic"}


def budget(step: Step) -> Figure:
    """The parts of a step, which add up to it."""
    parts = [
        ("arithmetic", step.compute_s - step.memory_bound_s - step.overhead_s, BLUE),
        ("memory-bound work", step.memory_bound_s, PURPLE),
        ("launching kernels", step.overhead_s, GREY),
        ("exposed communication", step.exposed_communication_s, ORANGE),
        ("waiting in the pipeline", step.bubble_s, RED),
        ("waiting for input", step.input_stall_s, GREEN),
    ]
    parts = [part for part in parts if part[1] > 5e-4 * step.time_s]
    names, seconds, colours = [part[0] for part in parts], [part[1] for part in parts], [part[2] for part in parts]
    shares = [value / step.time_s for value in seconds]
    texts = [f"{duration(value)} ({percent(share)})" for value, share in zip(seconds, shares, strict=True)]
    trace = bars(names, [100.0 * share for share in shares], texts, marker={"color": colours[::-1]})
    table = Table(
        (Column("part"), Column("time", "seconds"), Column("share", "share")),
        tuple(zip(names, seconds, shares, strict=True)),
    )
    text = (
        f"A step takes {duration(step.time_s)}; its parts on the critical device: {', '.join(map(_of, names, texts))}."
    )
    layout = {"xaxis": axis("share of the step, %", rangemode="tozero")}
    return Figure("budget", "Where a step spends its time", text, (trace,), layout, table, 110 + 42 * len(names))


def _of(name: str, text: str) -> str:
    return f"{name} {text}"


def waterfall(campaign: CampaignResult) -> Figure:
    """From ideal to real time."""
    rows = [(name, seconds) for name, seconds in campaign.waterfall if name == "ideal" or abs(seconds) > 0.0]
    names = [*(name for name, _ in rows), "wall time"]
    texts = [*(duration(abs(seconds)) for _, seconds in rows), duration(campaign.wall_s)]
    trace: Trace = {
        "type": "waterfall",
        "x": names,
        "y": [*(seconds / DAY for _, seconds in rows), 0.0],
        "measure": ["absolute", *["relative"] * (len(rows) - 1), "total"],
        "text": texts,
        "hoverinfo": "x+text",
        "textposition": "outside",
        "cliponaxis": False,
        "increasing": {"marker": {"color": ORANGE}},
        "decreasing": {"marker": {"color": GREEN}},
        "totals": {"marker": {"color": BLUE}},
        "connector": {"line": {"color": GREY, "width": 1}},
        "showlegend": False,
    }
    table = Table(
        (Column("part"), Column("time", "seconds"), Column("of the wall time", "share")),
        tuple((name, seconds, seconds / campaign.wall_s) for name, seconds in rows),
    )
    text = (
        f"The whole training takes {duration(campaign.wall_s)}, goodput {100.0 * campaign.goodput:.1f} %: steps that "
        f"count, on all devices; {campaign.failures:,.3g} failures."
    )
    return Figure("campaign", "From ideal to real time", text, (trace,), {"yaxis": axis("days")}, table)


def progress(campaign: CampaignResult) -> Figure:
    """Steps done against the calendar, of the first seed."""
    days = [0.0, *(period.end_s / DAY for period in campaign.calendar)]
    done = [0.0, *(100.0 * period.done for period in campaign.calendar)]
    notes = ["start", *(f"{period.failures} failures, {period.stops} stops" for period in campaign.calendar)]
    trace: Trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": days,
        "y": done,
        "text": notes,
        "hoverinfo": "x+y+text",
        "line": {"color": BLUE},
        "showlegend": False,
    }
    table = Table(
        (Column("until", "seconds"), Column("done", "share"), Column("failures", "count"), Column("stops", "count")),
        tuple((p.end_s, p.done, p.failures, p.stops) for p in campaign.calendar),
    )
    text = "Share of the steps done against the calendar of the first seed, with failures and planned stops."
    layout = {"xaxis": axis("days"), "yaxis": axis("% of the steps", rangemode="tozero")}
    return Figure("progress", "Progress over the calendar", text, (trace,), layout, table, 320)


def memory(devices: Sequence[DeviceMemory]) -> Figure:
    """What each class of devices holds, by kind, against its capacity."""
    kinds = list(dict.fromkeys(kind for d in devices for kind, n in d.bytes_by_kind.items() if n > 0))
    names = [f"{d.name} ({d.count:,})" for d in devices][::-1]
    upwards = devices[::-1]
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "y": names,
            "x": [d.bytes_by_kind.get(kind, 0.0) / 2**30 for d in upwards],
            "hovertext": [f"{kind}: {gib(d.bytes_by_kind.get(kind, 0.0))}" for d in upwards],
            "hoverinfo": "text",
            "marker": {"color": PALETTE[place % len(PALETTE)]},
        }
        for place, kind in enumerate(kinds)
    ]
    limited = [d for d in devices if d.capacity_bytes < UNLIMITED]
    if len(limited) == len(devices):
        marker = {"symbol": "line-ns-open", "size": 30, "color": INK, "line": {"width": 3}}
        bounds: Trace = {"type": "scatter", "mode": "markers", "name": "capacity", "y": names, "marker": marker}
        traces.append({**bounds, "x": [d.capacity_bytes / 2**30 for d in upwards], "hoverinfo": "name+x"})
    cells: list[tuple[Cell, ...]] = []
    cells += ((d.name, d.count, *(d.bytes_by_kind.get(k, 0.0) for k in kinds), d.total_bytes) for d in devices)
    columns = (Column("devices"), Column("count", "count"), *(Column(k, "bytes") for k in (*kinds, "all")))
    full = max(devices, key=lambda d: d.total_bytes)
    has = gib(full.capacity_bytes) if full in limited else "unlimited"
    text = f"The fullest devices ({full.name}) hold {gib(full.total_bytes)} of {has}."
    layout = {
        "barmode": "stack",
        "legend": {"traceorder": "normal"},
        "xaxis": axis("GiB of a device", rangemode="tozero"),
    }
    table = Table(columns, tuple(cells))
    return Figure("memory", "Memory of a device", text, tuple(traces), layout, table, 150 + 46 * len(devices))


def timeline(step: Step) -> Figure:
    """A step as it goes: what runs on each stream of each stage."""
    tracks = list(dict.fromkeys(s.track for s in step.slices))[:MOST_TRACKS]
    drawn = _merged([s for s in step.slices if s.track in tracks and s.end_s > s.start_s], step.time_s)
    scale, unit = (1.0, "s") if step.time_s >= 1.0 else (1e3, "ms")
    kinds: dict[str, list[Slice]] = {}
    for piece in drawn:
        kinds.setdefault(_kind(piece.name), []).append(piece)
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "y": [s.track for s in pieces],
            "base": [scale * s.start_s for s in pieces],
            "x": [scale * (s.end_s - s.start_s) for s in pieces],
            "hovertext": [_about(s) for s in pieces],
            "hoverinfo": "text",
            "marker": {"color": PALETTE[place % len(PALETTE)], "line": {"width": 0}},
        }
        for place, (kind, pieces) in enumerate(kinds.items())
    ]
    busy = {track: sum(s.end_s - s.start_s for s in step.slices if s.track == track) for track in tracks}
    table = Table(
        (Column("stream"), Column("busy", "seconds"), Column("of the step", "share")),
        tuple((track, seconds, seconds / step.time_s) for track, seconds in busy.items()),
    )
    text = f"One step of {duration(step.time_s)}: what runs on each stream, stage by stage."
    layout = {
        "barmode": "overlay",
        "xaxis": axis(f"time, {unit}", rangemode="tozero"),
        "yaxis": {"categoryorder": "array", "categoryarray": tracks[::-1]},
    }
    return Figure("timeline", "A step as it goes", text, tuple(traces), layout, table, 150 + 30 * len(tracks))


def _about(piece: Slice) -> str:
    """A slice's name, layer and bytes, where it stands for one piece of work."""
    said = dict(piece.about)
    sizes = [
        f"{label}: {size_text(nbytes)}" for key, label in BYTES.items() if isinstance(nbytes := said.get(key), float)
    ]
    layer = [str(said["layer"])] if "layer" in said else []
    return "\n".join([piece.name, *layer, duration(piece.end_s - piece.start_s), *sizes])


def _merged(slices: Sequence[Slice], whole_s: float) -> list[Slice]:
    """Pieces of one kind that follow each other on a track as one, closer ones first, until a screen can show them."""
    ordered = sorted(slices, key=lambda s: (s.track, s.start_s))
    gap = 1e-9 * whole_s
    while True:
        found: list[Slice] = []
        for piece in ordered:
            last = found[-1] if found else None
            if last and last.track == piece.track and _pass(last) == _pass(piece) and piece.start_s - last.end_s <= gap:
                found[-1] = Slice(last.track, _pass(piece), last.start_s, max(last.end_s, piece.end_s))
            else:
                found.append(piece)
        if len(found) <= MOST_SLICES or gap > whole_s:
            return found
        gap *= 10.0


def _pass(piece: Slice) -> str:
    """What a slice belongs to: its kind and micro-batch, without the part of it."""
    return " ".join(piece.name.split(" ")[:2])


def _kind(name: str) -> str:
    """A slice's kind: its first word, without the number of its micro-batch."""
    return name.split(" ")[0]
