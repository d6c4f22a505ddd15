"""Placing the ops of a graph on a few unequal devices, the simulator being the reward.

The learning-to-learn line of Dean, Patterson and Young 2018 (device placement by reinforcement learning, Mirhoseini et
al. 2017), here by the cross-entropy method (Rubinstein 1999): every group of ops has a distribution over devices;
placements are drawn, simulated, and the distribution moves towards the fastest of them. Two baselines beside it:
layer by layer as an expert cuts a model, and greedy earliest finish (list scheduling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property

import numpy as np

from sim.engine import Program, Track, recursion, streams
from sim.errors import InputError, Problem
from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """Ops run in one go: seconds on each device, bytes it sends to each follower, bytes it holds.

    Nodes of one `group` stay on one device (a slice's forward and backward pass); empty: the node alone.
    """

    name: str
    layer: str
    seconds: tuple[float, ...]
    after: tuple[str, ...] = ()
    output_bytes: float = 0.0
    memory_bytes: float = 0.0
    group: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A place to run ops: capacity [B], and what a message to another device costs (latency s, B/s)."""

    name: str
    capacity_bytes: float = float("inf")
    latency_s: float = 0.0
    bandwidth: float = float("inf")


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order; `weights` [B] of a layer lie on every device that runs any of its nodes, and its
    `gradients` [B] are summed over them once all of its nodes are done."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def place(self) -> Mapping[str, int]:
        return {node.name: k for k, node in enumerate(self.nodes)}

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Nodes that stay together, in order of their first node."""
        together: dict[str, list[int]] = {}
        for k, node in enumerate(self.nodes):
            together.setdefault(node.group or node.name, []).append(k)
        return tuple(map(tuple, together.values()))

    def __post_init__(self) -> None:
        for k, node in enumerate(self.nodes):
            for before in node.after:
                if self.place.get(before, k) >= k:
                    raise InputError(Problem("must come after a node that stands before it", node.name, before))


@dataclass(frozen=True, slots=True)
class Placement:
    """Device of every node, and the time of a step with it; `fits` tells whether every device holds its share."""

    devices: tuple[int, ...]
    time_s: float
    fits: bool
    how: str
    note: str = ""  # of a search: the start it found nothing better than


def evaluate(
    graph: Graph, devices: Sequence[Device], where: Sequence[int], how: str, *, simpy: bool = True
) -> Placement:
    """Simulate one placement: a stream per device, a link out of each device; a value is sent once per receiver.

    A layer on k devices sums its gradient over them in a ring: each sends 2(k−1)/k of it in 2(k−1) messages, which
    share its link with the values it sends meanwhile.
    """
    program = Program()
    compute = [program.add_track(Track(d.name, "compute", k)) for k, d in enumerate(devices)]
    links = [program.add_track(Track(f"{d.name} out", "link", k, level=k)) for k, d in enumerate(devices)]
    receivers: list[dict[int, None]] = [{} for _ in graph.nodes]
    for k, node in enumerate(graph.nodes):
        for name in node.after:
            receivers[graph.place[name]][where[k]] = None
    at: dict[tuple[int, int], int] = {}  # (node, device) → task that brings its value there
    for k, node in enumerate(graph.nodes):
        needs = tuple(at[graph.place[name], where[k]] for name in node.after)
        done = at[k, where[k]] = program.add(compute[where[k]], node.name, node.seconds[where[k]], needs)
        device = devices[where[k]]
        for target in receivers[k]:
            if target != where[k]:
                seconds = device.latency_s + node.output_bytes / device.bandwidth
                at[k, target] = program.add(links[where[k]], node.name, seconds, (done,))
    _exchange_gradients(program, graph, devices, where, at)
    times = streams.run(program) if simpy else recursion.run(program)
    held = [0.0] * len(devices)
    for node, number in zip(graph.nodes, where, strict=True):
        held[number] += node.memory_bytes
    for layer, number in {(node.layer, number) for node, number in zip(graph.nodes, where, strict=True)}:
        held[number] += graph.weights.get(layer, 0.0)
    fits = all(h <= d.capacity_bytes for h, d in zip(held, devices, strict=True))
    return Placement(tuple(where), max(times.end, default=0.0), fits, how)


def _exchange_gradients(
    program: Program,
    graph: Graph,
    devices: Sequence[Device],
    where: Sequence[int],
    at: Mapping[tuple[int, int], int],
) -> None:
    """Append the sums of the gradients of layers that several devices hold."""
    streams_of: dict[int, int] = {}
    layers: dict[str, dict[int, int]] = {}
    for k, node in enumerate(graph.nodes):
        layers.setdefault(node.layer, {})[where[k]] = at[k, where[k]]  # the last of its nodes on each device
    for layer, last in layers.items():
        nbytes, ranks = graph.gradients.get(layer, 0.0), len(last)
        if nbytes == 0.0 or ranks == 1:
            continue
        rounds, done = 2 * (ranks - 1), tuple(last.values())
        slowest = max(devices[d].latency_s + nbytes / ranks / devices[d].bandwidth for d in last)
        for device in last:
            if device not in streams_of:
                track = Track(f"{devices[device].name} gradients", "stream", device, level=device)
                streams_of[device] = program.add_track(track)
            program.add(streams_of[device], f"gradient {layer}", rounds * slowest, done)


def layer_wise(graph: Graph, devices: Sequence[Device]) -> Placement:
    """The expert's way: whole layers in order, each device as much work as its speed deserves."""
    layers: dict[str, list[int]] = {}
    for k, node in enumerate(graph.nodes):
        layers.setdefault(node.layer, []).append(k)
    speed = [1.0 / sum(node.seconds[d] for node in graph.nodes) for d in range(len(devices))]
    where = [0] * len(graph.nodes)
    work = {layer: sum(min(graph.nodes[k].seconds) for k in ks) for layer, ks in layers.items()}
    total, filled, device = sum(work.values()), 0.0, 0
    for layer, ks in layers.items():
        while device < len(devices) - 1 and filled + work[layer] / 2 > total * sum(speed[: device + 1]) / sum(speed):
            device += 1
        for k in ks:
            where[k] = device
        filled += work[layer]
    return evaluate(graph, devices, where, "layer by layer")


def alone(graph: Graph, devices: Sequence[Device]) -> Placement:
    """Everything on the fastest device."""
    fastest = min(range(len(devices)), key=lambda d: sum(node.seconds[d] for node in graph.nodes))
    return evaluate(graph, devices, [fastest] * len(graph.nodes), f"all on {devices[fastest].name}")


def greedy(graph: Graph, devices: Sequence[Device]) -> Placement:
    """Every node in order goes where it would finish first, as far as memory lasts."""
    free = [0.0] * len(devices)
    left = [d.capacity_bytes for d in devices]
    where: list[int] = []
    end: list[float] = []
    chosen: dict[str, int] = {}
    stored: set[tuple[str, int]] = set()
    for node in graph.nodes:
        best: tuple[float, int] | None = None
        group = node.group or node.name
        for d in [chosen[group]] if group in chosen else range(len(devices)):
            arrivals = (end[graph.place[n]] + _message(graph, devices, where, n, d) for n in node.after)
            finish = max(free[d], *arrivals, 0.0) + node.seconds[d]
            fits = group in chosen or left[d] >= _held(graph, node, d, stored)
            if (best is None or finish < best[0]) and fits:
                best = (finish, d)
        finish, device = best or (max(free), int(np.argmax(left)))
        left[device] -= _held(graph, node, device, stored)
        stored.add((node.layer, device))
        chosen[group] = device
        where.append(device)
        end.append(finish)
        free[device] = finish
    return evaluate(graph, devices, where, "greedy")


def _held(graph: Graph, node: Node, device: int, stored: set[tuple[str, int]]) -> float:
    """Bytes a node adds to a device: its own, and its layer's weights if they are not there yet."""
    weights = 0.0 if (node.layer, device) in stored else graph.weights.get(node.layer, 0.0)
    return node.memory_bytes + weights


def _message(graph: Graph, devices: Sequence[Device], where: Sequence[int], source: str, target: int) -> float:
    place = graph.place[source]
    device = devices[where[place]]
    if where[place] == target:
        return 0.0
    return device.latency_s + graph.nodes[place].output_bytes / device.bandwidth


def learn(
    graph: Graph,
    devices: Sequence[Device],
    *,
    rounds: int = 30,
    draws: int = 64,
    elite: float = 0.125,
    smoothing: float = 0.5,
    seed: int = 0,
) -> Placement:
    """Cross-entropy search; starts from the best baseline, which it can only improve on."""
    draw = np.random.default_rng(np.random.SeedSequence(seed))
    starts = [layer_wise(graph, devices), greedy(graph, devices), alone(graph, devices)]
    best = min(starts, key=_reward)
    groups = graph.groups
    rows = np.arange(len(groups))
    member = np.empty(len(graph.nodes), dtype=np.int64)
    for number, nodes in enumerate(groups):
        member[list(nodes)] = number
    chances = np.full((len(groups), len(devices)), 0.5 / len(devices))
    for start in starts:
        chances[rows, [start.devices[nodes[0]] for nodes in groups]] += 0.5 / len(starts)
    keep = max(1, int(draws * elite))
    for _ in range(rounds):
        steps = chances.cumsum(axis=1)
        drawn = (draw.random((draws, len(groups), 1)) > steps[None, :, :-1]).sum(axis=2)
        tried = [evaluate(graph, devices, row[member].tolist(), "learned", simpy=False) for row in drawn]
        order = sorted(range(draws), key=lambda i: (*_reward(tried[i]), i))
        counts = np.zeros_like(chances)
        for i in order[:keep]:
            counts[rows, drawn[i]] += 1.0 / keep
        chances = (1.0 - smoothing) * chances + smoothing * counts
        best = min(best, tried[order[0]], key=_reward)
    same = next((start for start in starts if start.devices == best.devices), None)
    return replace(evaluate(graph, devices, best.devices, "learned"), note=f"no better than {same.how}" if same else "")


def _reward(placement: Placement) -> tuple[bool, float]:
    """Placements that fit first, then the faster."""
    return not placement.fits, placement.time_s
