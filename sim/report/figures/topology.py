"""A cluster as a picture: devices, switches and links, links coloured by their load in a collective.

Direct levels are drawn as what they are (rings and full meshes as circles, tori as grids); switches stand above what
they join, tier by tier.  A cluster too large to see is cut down level by level, and the picture says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, TypeAlias

from sim.errors import InputError, Problem
from sim.network import TOPOLOGIES, Cluster, Communicator, Group, Level, Topology
from sim.ops import CollectiveKind
from sim.records import dataclass
from sim.report.figures.kit import BLUE, GREY, INK, Figure, Trace
from sim.report.tables import Column, Table
from sim.report.text import si

Name: TypeAlias = int | str
Point: TypeAlias = tuple[float, float]

MOST_DEVICES: Final = 96
SHADES: Final = 9
CURVE: Final = 12  # pieces of a link that is drawn bent
LISTED: Final = 20
MOST_FRAMES: Final = 24  # with a name each
WIDTH, HEIGHT, MARGIN, TOP = 1100, 720, 50, 70
_TIERS: Final = {"nic": 0.4} | {kind: tier for each in TOPOLOGIES.values() for kind, tier in each.tiers.items()}
_COLD, _WARM, _HOT = (214, 221, 229), (240, 173, 78), (176, 24, 32)


@dataclass(frozen=True, slots=True)
class DrawnCollective:
    """The collective whose load colours the links; the group is all drawn devices."""

    kind: CollectiveKind = "all_reduce"
    nbytes: float = 2.0**30
    algorithm: str | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    a: Name
    b: Name
    capacity: float
    nbytes: float
    busy: float


def topology(cluster: Cluster, collective: DrawnCollective | None = DrawnCollective()) -> Figure:
    """The cluster, or a part of it that can be seen; links coloured by a collective, a 1 GiB all-reduce by default."""
    drawn = shrink(cluster)
    communicator = Communicator(drawn)
    lines = _lines(communicator, collective)
    places = _places(drawn, communicator.topology)
    notes = [f"{cluster.devices:,} device{'s' * (cluster.devices > 1)}"]
    notes[0] += f": {_structure(cluster)}" if len(cluster.levels) > 1 else ""
    if drawn.devices != cluster.devices:
        same = _structure(drawn) if len(drawn.levels) > 1 else "same structure"
        notes.append(f"drawn: a part of {drawn.devices} devices, {same}")
        notes[-1] += ", without the dead and degraded links" * bool(cluster.dead_links or cluster.degraded_links)
    if collective is not None:
        what = f"all drawn devices {collective.kind.replace('_', '-')} {si(collective.nbytes, 'B')}"
        notes.append(f"{what}; colour: how long a link is busy, share of the busiest")
    grid = any(_stand(level) == "grid" for level in drawn.levels)
    traces = (*_links(lines, places, collective is not None, grid), *_nodes(places))
    hidden = {"visible": False, "fixedrange": True}
    layout = {
        "xaxis": hidden,
        "yaxis": {**hidden, "autorange": "reversed"},
        "margin": {"l": 4, "r": 4, "t": 30, "b": 4},
        **_frames(drawn, places),
    }
    ordered = sorted(lines, key=lambda line: (-line.busy, str(line.a), str(line.b)))[:LISTED]
    columns = (Column("link"), Column("bandwidth"), Column("carries", "bytes"), Column("busy", "seconds"))
    rows = tuple((f"{x.a} — {x.b}", si(x.capacity, "B/s"), x.nbytes, x.busy) for x in ordered)
    text = "; ".join(notes) + "."
    return Figure("topology", f"Topology of {cluster.name}", text, traces, layout, Table(columns, rows), 560)


def shrink(cluster: Cluster) -> Cluster:
    """A cluster of the same levels with fewer members, outermost first, until at most `MOST_DEVICES` are left; twice as
    many where that shows nodes or racks as large as they are.
    """
    if cluster.devices <= MOST_DEVICES:
        return cluster
    if not cluster.levels:
        raise InputError(Problem(f"a graph of more than {MOST_DEVICES} devices cannot be drawn", "cluster"))
    levels = _cut(list(cluster.levels), (8, 4, 3, 2), 1, MOST_DEVICES)
    if math.prod(level.size for level in levels) > 2 * MOST_DEVICES:
        levels = _cut(list(cluster.levels), (8, 4, 3, 2, 1), 0, MOST_DEVICES)
    levels = [level for level in levels if level.size > 1] or levels[:1]
    devices = math.prod(level.size for level in levels)
    return replace(cluster, devices=devices, levels=tuple(levels), rank_order=(), dead_links=(), degraded_links=())


def _cut(levels: list[Level], sizes: Sequence[int], innermost: int, most: int) -> list[Level]:
    """Levels cut to smaller and smaller sizes, outermost first and not below `innermost`, until so many are left."""
    for least in sizes:
        for i in range(len(levels) - 1, innermost - 1, -1):
            if math.prod(level.size for level in levels) <= most:
                return levels
            kept = 1 if least == 1 and i == 0 else least
            levels[i] = TOPOLOGIES[levels[i].topology].drawn(levels[i], kept)
    return levels


def _structure(cluster: Cluster) -> str:
    """`8 devices a node, 256 nodes a fabric`."""
    inner = ["device", *(level.name for level in cluster.levels)]
    pairs = zip(cluster.levels, inner, strict=False)
    return ", ".join(f"{level.size:,} {name}{'s' * (level.size > 1)} a {level.name}" for level, name in pairs)


def _frames(cluster: Cluster, places: Mapping[Name, Point]) -> dict[str, Any]:
    """A frame with a name around the devices of every node, rack …, whatever holds more than one of the next."""
    shapes: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    block = 1
    for depth, level in enumerate(cluster.levels[:-1], start=1):
        block *= level.size
        for number, first in enumerate(range(0, cluster.devices, block)):
            at = [places[device] for device in range(first, first + block)]
            pad = 12.0 * depth
            x0, x1 = min(x for x, _ in at) - pad, max(x for x, _ in at) + pad
            y0, y1 = min(y for _, y in at) - pad, max(y for _, y in at) + pad + 8.0 * depth
            frame = {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "layer": "below"}
            shapes.append({**frame, "line": {"color": GREY, "width": 1, "dash": "dot"}})
            said = {"x": (x0 + x1) / 2, "y": y1, "text": f"{level.name} {number}", "showarrow": False}
            names.append({**said, "yanchor": "top", "font": {"size": 10, "color": GREY}})
    few = len(names) <= MOST_FRAMES
    return {"shapes": shapes, "annotations": names if few else []}


def _stand(level: Level) -> str:
    """How the members of a level stand: row, circle or grid."""
    return TOPOLOGIES[level.topology].drawing


def _lines(communicator: Communicator, collective: DrawnCollective | None) -> list[_Line]:
    """One line for both directions of a link, with the fuller of the two."""
    topology = communicator.topology
    loads = [0.0] * topology.L
    if collective is not None and communicator.cluster.devices > 1:
        group = Group(communicator.cluster.devices)
        found = communicator.choose(collective.kind, collective.nbytes, group).algorithm.partition("/")[0]
        name = collective.algorithm or found
        loads = communicator.link_loads(collective.kind, collective.nbytes, group, name).tolist()
    merged: dict[frozenset[Name], _Line] = {}
    for a, b, data in topology.graph().edges(data=True):
        link, capacity = int(data["link"]), float(data["capacity"])
        nbytes = loads[link] if link >= 0 else 0.0
        busy = nbytes / capacity if capacity else 0.0
        key = frozenset((a, b))
        old = merged.get(key)
        if old is None or busy > old.busy:
            merged[key] = _Line(a, b, capacity, nbytes, busy)
    return list(merged.values())


def _places(cluster: Cluster, topology: Topology) -> dict[Name, Point]:
    """Where every node of the graph stands: devices by the innermost level, switches above what they join."""
    graph = topology.graph()
    nodes: list[Name] = list(graph.nodes)
    places: dict[Name, Point] = {}
    for device, place in _device_places(cluster, [n for n in nodes if isinstance(n, int)]).items():
        places[device] = place
    if not cluster.levels:
        return places | _inside({n: list(graph.neighbors(n)) for n in nodes if isinstance(n, str)}, places)
    names = [level.name for level in cluster.levels]
    tiers: dict[float, list[Name]] = {}
    for node in nodes:
        if isinstance(node, str):
            tiers.setdefault(_tier(node, names), []).append(node)
    floor = min((y for _, y in places.values()), default=HEIGHT - 110.0)
    rows = sorted(tiers)
    for k, tier in enumerate(rows):
        y = floor - (floor - TOP - 40) * (k + 1) / len(rows) if rows else floor
        known = {n: [places[m][0] for m in graph.neighbors(n) if m in places] for n in tiers[tier]}
        wanted = {n: sum(xs) / len(xs) if xs else WIDTH / 2 for n, xs in known.items()}
        for node, x in zip(
            sorted(wanted, key=lambda n: (wanted[n], _natural(str(n)))), _spread(sorted(wanted.values())), strict=True
        ):
            places[node] = (x, y)
    return places


def _inside(switches: dict[str, list[Name]], devices: dict[Name, Point]) -> dict[Name, Point]:
    """Switches of an edge list: on a circle inside that of the devices, each near what it joins; one in the middle."""
    x0, y0 = WIDTH / 2, (HEIGHT + TOP) / 2
    near = {s: [devices[n] for n in ends if n in devices] for s, ends in switches.items()}
    pull = {s: (sum(x - x0 for x, _ in at), sum(y - y0 for _, y in at)) for s, at in near.items()}
    ordered = sorted(switches, key=lambda s: (math.atan2(pull[s][0], -pull[s][1]) % math.tau, _natural(s), s))
    radius = 0.0 if len(ordered) == 1 else min(WIDTH, HEIGHT - TOP) / 4 - 30
    turn = math.atan2(pull[ordered[0]][0], -pull[ordered[0]][1]) if ordered else 0.0
    angles = [turn + math.tau * i / len(ordered) for i in range(len(ordered))]
    return {s: (x0 + radius * math.sin(a), y0 - radius * math.cos(a)) for s, a in zip(ordered, angles, strict=True)}


def _natural(name: str) -> tuple[int, ...]:
    """Numbers in a name, so that spine10 comes after spine9."""
    return tuple(int(part) for part in re.findall(r"\d+", name))


def _tier(node: str, names: Sequence[str]) -> float:
    """Height of a switch: its level, then its kind inside the level."""
    level, _, rest = node.partition("/")
    kind = rest.rstrip("0123456789.") or rest
    height = _TIERS.get(kind, 1.0)
    return (names.index(level) if level in names else 0) * 10.0 + height


def _spread(wanted: Sequence[float]) -> list[float]:
    """Keep an order of x positions, but no two nearer than fits the page."""
    if len(wanted) < 2:
        return list(wanted)
    gap = min(70.0, (WIDTH - 2 * MARGIN) / (len(wanted) - 1))
    if all(b - a >= gap - 1e-9 for a, b in pairwise(wanted)):
        return list(wanted)
    width = max(gap * (len(wanted) - 1), min(wanted[-1] - wanted[0], WIDTH - 2.0 * MARGIN))
    middle = (wanted[0] + wanted[-1]) / 2
    start = min(max(middle - width / 2, MARGIN), WIDTH - MARGIN - width)
    return [start + width * i / (len(wanted) - 1) for i in range(len(wanted))]


def _device_places(cluster: Cluster, devices: Sequence[int]) -> dict[int, Point]:
    first = cluster.levels[0] if cluster.levels else None
    flat = len(cluster.levels) <= 1
    if first is None or (flat and _stand(first) == "circle"):
        return _circle(devices, (WIDTH / 2, (HEIGHT + TOP) / 2), min(WIDTH, HEIGHT - TOP) / 2 - 60)
    if flat and _stand(first) == "grid":
        return _grid(devices, first.sizes, (MARGIN + 40, TOP + 60), (WIDTH - 2 * MARGIN - 80, HEIGHT - TOP - 150))
    block = first.size
    groups = [devices[i : i + block] for i in range(0, len(devices), block)]
    cell = (WIDTH - 2 * MARGIN) / len(groups)
    places: dict[int, Point] = {}
    for g, members in enumerate(groups):
        middle = MARGIN + cell * (g + 0.5)
        if _stand(first) != "row" and block > 2:
            size = min(cell * 0.8, 190.0)
            if _stand(first) == "grid":
                corner = (middle - size / 2, HEIGHT - 60 - size)
                places |= _grid(members, first.sizes, corner, (size, size))
            else:
                places |= _circle(members, (middle, HEIGHT - 60 - size / 2), size / 2)
        else:
            step = cell * 0.86 / max(1, len(members))
            for i, device in enumerate(members):
                places[device] = (middle + (i - (len(members) - 1) / 2) * step, HEIGHT - 70.0)
    return places


def _circle(devices: Sequence[int], centre: Point, radius: float) -> dict[int, Point]:
    n = len(devices)
    return {
        d: (centre[0] + radius * math.sin(2 * math.pi * i / n), centre[1] - radius * math.cos(2 * math.pi * i / n))
        for i, d in enumerate(devices)
    }


def _grid(devices: Sequence[int], sizes: Sequence[int], corner: Point, room: Point) -> dict[int, Point]:
    """First dimension to the right, second down, third drawn obliquely behind."""
    nx, ny = sizes[0], sizes[1] if len(sizes) > 1 else 1
    nz = math.prod(sizes[2:])
    depth = 0.6 if nz > 1 else 0.0
    dx = room[0] / max(1.0, (nx - 1) + depth * (nz - 1) * 0.8 / max(1, nz - 1) * (nx > 1))
    dy = room[1] / max(1.0, (ny - 1) + depth)
    oblique = (dx * depth * 0.8 / max(1, nz - 1), dy * depth / max(1, nz - 1))
    places = {}
    for i, device in enumerate(devices):
        x, y, z = i % nx, i // nx % ny, i // (nx * ny)
        places[device] = (
            corner[0] + dx * x + oblique[0] * z,
            corner[1] + dy * (y + depth) - oblique[1] * z,
        )
    return places


def _direction(line: _Line, places: dict[Name, Point]) -> int | None:
    """Angle of a link between two devices, in steps of about two degrees; None for links to switches."""
    if isinstance(line.a, str) or isinstance(line.b, str):
        return None
    (x1, y1), (x2, y2) = places[line.a], places[line.b]
    return round(math.atan2(y2 - y1, x2 - x1) % math.pi * 29) % 91


def _shortest(lines: Sequence[_Line], places: dict[Name, Point]) -> dict[int | None, float]:
    """Shortest link between devices in every direction."""
    found: dict[int | None, float] = {}
    for line in lines:
        direction = _direction(line, places)
        if direction is not None:
            far = math.dist(places[line.a], places[line.b])
            found[direction] = min(found.get(direction, far), far)
    return found


def _links(lines: Sequence[_Line], places: dict[Name, Point], loaded: bool, grid: bool) -> list[Trace]:
    """Links by how busy they are: a trace per shade, from grey over amber to red; what a link carries on hovering."""
    busiest = max((line.busy for line in lines), default=0.0)
    shortest = _shortest(lines, places) if grid else {}
    shades: dict[int, list[_Line]] = {}
    for line in lines:
        shades.setdefault(round((SHADES - 1) * line.busy / busiest) if loaded and busiest else 0, []).append(line)
    traces: list[Trace] = []
    for shade, members in sorted(shades.items()):
        paths = [_path(line, places, shortest) for line in members]
        share = shade / (SHADES - 1)
        drawn: Trace = {
            "type": "scatter",
            "mode": "lines",
            "x": [x for path in paths for x in (*(p[0] for p in path), None)],
            "y": [y for path in paths for y in (*(p[1] for p in path), None)],
            "line": {"color": colour(share), "width": 1.3 + 1.7 * share},
            "name": _shade_name(share, busiest),
            "hoverinfo": "skip",
            "showlegend": loaded and busiest > 0.0 and shade in (0, SHADES - 1),
        }
        middles = [path[len(path) // 2] for path in paths]
        seen = {"color": colour(share), "size": 5, "opacity": 0.01}
        tips: Trace = {
            "type": "scatter",
            "mode": "markers",
            "x": [x for x, _ in middles],
            "y": [y for _, y in middles],
            "hovertext": [_tip(line, loaded) for line in members],
            "hoverinfo": "text",
            "marker": seen,
            "showlegend": False,
        }
        traces += [drawn, tips]
    return traces


def colour(share: float) -> str:
    """Grey, amber, red for 0 … 1."""
    low, high, t = (_COLD, _WARM, share * 2) if share < 0.5 else (_WARM, _HOT, share * 2 - 1)
    return "#" + "".join(f"{round(a + (b - a) * t):02x}" for a, b in zip(low, high, strict=True))


def _shade_name(share: float, busiest: float) -> str:
    return f"busy {busiest * 1e3:.4g} ms" if share == 1.0 else "idle"


def _tip(line: _Line, loaded: bool) -> str:
    tip = f"{line.a} — {line.b}: {si(line.capacity, 'B/s')}"
    return tip + (f"\n{si(line.nbytes, 'B')}, busy {line.busy * 1e3:.4g} ms" if loaded else "")


def _path(line: _Line, places: dict[Name, Point], shortest: dict[int | None, float]) -> list[Point]:
    """A straight line; a link that wraps goes round the others."""
    (x1, y1), (x2, y2) = places[line.a], places[line.b]
    far = math.hypot(x2 - x1, y2 - y1)
    near = shortest.get(_direction(line, places), far)
    if far <= 1.5 * near:
        return [(x1, y1), ((x1 + x2) / 2, (y1 + y2) / 2), (x2, y2)]
    bend = 2 * min(0.16 * far, 46.0) / far
    cx, cy = (x1 + x2) / 2 - bend / 2 * (y2 - y1), (y1 + y2) / 2 + bend / 2 * (x2 - x1)
    steps = [i / CURVE for i in range(CURVE + 1)]
    return [
        ((1 - t) ** 2 * x1 + 2 * t * (1 - t) * cx + t * t * x2, (1 - t) ** 2 * y1 + 2 * t * (1 - t) * cy + t * t * y2)
        for t in steps
    ]


def _nodes(places: dict[Name, Point]) -> list[Trace]:
    """Devices with their numbers, switches with their names where there is room."""
    devices = {n: p for n, p in places.items() if isinstance(n, int)}
    switches = {n: p for n, p in places.items() if isinstance(n, str)}
    small = len(devices) > 40
    crowded = [sum(abs(y - other) < 1 for _, other in places.values()) > 17 for _, y in switches.values()]
    labels = [_short(name, quiet) for name, quiet in zip(switches, crowded, strict=True)]
    return [
        _points("switch", switches, labels, "square", 13, GREY, 9),
        _points(
            "device",
            devices,
            [str(n) for n in devices] if len(devices) <= MOST_DEVICES else [""] * len(devices),
            "circle",
            13 if small else 20,
            BLUE,
            7 if small else 10,
        ),
    ]


def _short(name: str, crowded: bool) -> str:
    short = name.partition("/")[2] or name
    return "" if crowded or short.startswith("nic") else short


def _points(
    kind: str, places: Mapping[Any, Point], labels: Sequence[str], symbol: str, size: int, fill: str, font: int
) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [x for x, _ in places.values()],
        "y": [y for _, y in places.values()],
        "text": list(labels),
        "textposition": "middle center" if kind == "device" else "top center",
        "textfont": {"size": font, "color": "#ffffff" if kind == "device" else INK},
        "hovertext": [f"{kind} {name}" for name in places],
        "hoverinfo": "text",
        "marker": {"symbol": symbol, "size": size, "color": fill, "opacity": 1},
        "name": kind,
        "showlegend": False,
    }
