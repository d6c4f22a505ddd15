"""Placing the op graph of a scenario's model on a few unequal devices: learned, by layers, greedy, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.device.records import Accelerator
from sim.errors import Infeasible, InfeasibleError, InputError, Lever, Problem
from sim.placement import Device, Graph, Placement, alone, greedy, layer_wise, learn, unrolled
from sim.records import dataclass
from sim.scenario import Scenario
from sim.simulation import choose_plan, model_of, project_target

PIECES: Final = 5  # stretches a sequence is cut into
GIB: Final = 2.0**30


@dataclass(frozen=True, slots=True)
class Placed:
    """Placements of one graph, each simulated; the learned one first."""

    model: str
    sub_batch: int
    stretches: int
    chips: tuple[str, ...]
    capacities: tuple[float, ...]
    graph: Graph
    placements: tuple[Placement, ...]

    def busy(self, placement: Placement) -> list[float]:
        """Share of the step every device computes."""
        seconds = [0.0] * len(self.chips)
        for node, device in zip(self.graph.nodes, placement.devices, strict=True):
            seconds[device] += node.seconds[device]
        return [total / placement.time_s for total in seconds]

    def held(self, placement: Placement) -> list[float]:
        """Bytes on every device."""
        nbytes = [0.0] * len(self.chips)
        for node, device in zip(self.graph.nodes, placement.devices, strict=True):
            nbytes[device] += node.memory_bytes
        pairs = zip(self.graph.nodes, placement.devices, strict=True)
        for layer, device in {(node.layer, device) for node, device in pairs}:
            nbytes[device] += self.graph.weights.get(layer, 0.0)
        return nbytes

    def by_layer(self, placement: Placement) -> dict[str, tuple[int, ...]]:
        """Device of every stretch of every layer."""
        places: dict[str, dict[str, int]] = {}
        for node, device in zip(self.graph.nodes, placement.devices, strict=True):
            places.setdefault(node.layer, {})[node.group] = device
        return {layer: tuple(stretches.values()) for layer, stretches in places.items()}


def place(
    scenario: Scenario,
    chips: Sequence[Accelerator],
    bandwidth: float,
    latency_s: float,
    *,
    stretches: int | None = None,
    rounds: int = 30,
    draws: int = 64,
    seed: int = 0,
) -> Placed:
    """One step of the scenario's model at its sub-batch, placed on `chips`; messages of `latency_s` at `bandwidth`."""
    model = model_of(scenario, project_target(scenario))
    plan, _ = choose_plan(scenario, model, must_fit=False)
    if plan.devices > plan.data:
        rule = "the model is cut by the placement: no degree but data beside it"
        raise InputError(Problem(rule, "plan", f"{plan.devices // plan.data} devices per replica"))
    pieces = stretches or min(PIECES, getattr(model, "unroll", 1))
    graph = unrolled(model, plan.sub_batch, scenario.workload.numerics, chips, pieces)
    room = [chip.memory.capacity_bytes - chip.memory.reserve_bytes for chip in chips]
    devices = [Device(chip.name, left, latency_s, bandwidth) for chip, left in zip(chips, room, strict=True)]
    learned = learn(graph, devices, rounds=rounds, draws=draws, seed=seed)
    found = (learned, layer_wise(graph, devices), greedy(graph, devices), alone(graph, devices))
    placed = Placed(model.name, plan.sub_batch, pieces, tuple(c.name for c in chips), tuple(room), graph, found)
    if not any(placement.fits for placement in found):
        raise InfeasibleError(_too_large(placed))
    return placed


def _too_large(placed: Placed) -> Infeasible:
    """No placement found holds the model: what the whole graph needs, once, against all devices together."""
    need = sum(placed.graph.weights.values()) + sum(node.memory_bytes for node in placed.graph.nodes)
    have = sum(placed.capacities)
    levers = (
        Lever(f"plan.sub_batch below {placed.sub_batch}", note="activations shrink with it"),
        Lever("more or larger devices", need, "memory_bytes", f"they hold {have / GIB:.0f} GiB together"),
    )
    names = ", ".join(placed.chips)
    return Infeasible(f"no placement of {placed.model} fits {names}", "all devices", need, have, levers)
