"""Placing an op graph: baselines, the learned placement, and the simulator that judges them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sim.device.records import Accelerator, Cache, Compute, Memory
from sim.errors import InputError
from sim.placement import Device, Graph, Node, evaluate, greedy, layer_wise, learn, unrolled
from sim.workload.records import Numerics
from sim.workload.recurrent import LstmLM
from sim.workload.translation import AttentionNmt

CHIP = Accelerator(
    name="chip",
    status="hypothetical",
    date="2026-01",
    compute={"fp32": Compute(15e12, 1.0)},
    memory=Memory(16e9, 900e9, 1.0),
    cache=Cache(0.0),
    matrix_unit=None,
    kernel_overhead_s=0.0,
)

TWO = (Device("a", latency_s=0.1, bandwidth=1e9), Device("b", latency_s=0.1, bandwidth=1e9))


def _recurrent(layers: int, steps: int, speeds: tuple[float, ...]) -> Graph:
    """The grid of an unrolled recurrent model: cell (l, t) needs (l, t−1) and (l−1, t); then a softmax per step."""
    nodes = []
    for t in range(steps):
        for layer in range(layers):
            after = [f"{layer}:{t - 1}"] if t else []
            after += [f"{layer - 1}:{t}"] if layer else []
            seconds = tuple(1.0 / s for s in speeds)
            nodes.append(Node(f"{layer}:{t}", f"lstm {layer}", seconds, tuple(after), 1e6, 1.0))
        seconds = tuple(2.0 / s for s in speeds)
        nodes.append(Node(f"softmax:{t}", "softmax", seconds, (f"{layers - 1}:{t}",), 1e6, 2.0))
    return Graph(tuple(nodes))


def test_one_device_takes_the_sum_of_all() -> None:
    """Without a second device nothing overlaps and nothing is sent."""
    graph = _recurrent(2, 5, (1.0,))
    assert evaluate(graph, TWO[:1], [0] * 15, "all on one").time_s == pytest.approx(5 * (2 + 2))


def test_a_value_crosses_to_another_device_once() -> None:
    """Two readers on the other device share one message of 0.1 s + bytes/bandwidth."""
    nodes = (
        Node("x", "one", (1.0, 1.0), (), 1e8),
        Node("y", "two", (1.0, 1.0), ("x",)),
        Node("z", "two", (1.0, 1.0), ("x", "y")),
    )
    assert evaluate(Graph(nodes), TWO, [0, 1, 1], "split").time_s == pytest.approx(1.0 + 0.2 + 1.0 + 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_fast_engine_judges_placements_as_simpy_does(seed: int) -> None:
    """Random placements on three devices: equal to 1e-9."""
    draw = random.Random(seed)
    graph = _recurrent(3, 6, (1.0, 2.0, 0.5))
    devices = (*TWO, Device("c", latency_s=0.05, bandwidth=5e8))
    where = [draw.randrange(3) for _ in graph.nodes]
    slow, fast = (evaluate(graph, devices, where, "random", simpy=s) for s in (True, False))
    assert slow.time_s == pytest.approx(fast.time_s, rel=1e-9)


def test_the_learned_placement_is_never_worse_than_the_baselines() -> None:
    """It starts from both; on unequal devices it beats the layer-by-layer cut."""
    graph = _recurrent(2, 8, (1.0, 3.0))
    learned = learn(graph, TWO, rounds=15, draws=32)
    expert, listed = layer_wise(graph, TWO), greedy(graph, TWO)
    assert learned.time_s <= min(expert.time_s, listed.time_s)
    assert learned.fits
    assert learned == learn(graph, TWO, rounds=15, draws=32)


def test_a_replicated_layer_sums_its_gradient_over_its_devices() -> None:
    """Two devices each run one of two layers' stretches: a ring of two sends half of 2e8 bytes twice at 1e9 B/s, with
    0.1 s a message; a layer on one device alone sends nothing."""
    nodes = (Node("x", "one", (1.0, 1.0)), Node("y", "one", (1.0, 1.0)), Node("z", "two", (0.5, 0.5)))
    graph = Graph(nodes, gradients={"one": 2e8, "two": 8e8})
    for simpy in (True, False):
        both = evaluate(graph, TWO, [0, 1, 0], "both", simpy=simpy)
        assert both.time_s == pytest.approx(max(1.0 + 2 * (0.1 + 1e8 / 1e9), 1.5))
        assert evaluate(graph, TWO, [0, 0, 0], "one", simpy=simpy).time_s == pytest.approx(2.5)


def test_a_search_that_finds_nothing_better_says_so() -> None:
    """One node: the greedy answer is the best there is, and is named."""
    graph = Graph((Node("x", "one", (1.0, 2.0)),))
    assert learn(graph, TWO, rounds=2, draws=4).note == "no better than layer by layer"


def test_placements_respect_memory() -> None:
    """Greedy spreads a graph that one device cannot hold, and a placement that overflows is marked."""
    graph = _recurrent(2, 4, (1.0, 1.0))
    small = tuple(Device(name, 9.0, 0.1, 1e9) for name in ("a", "b"))
    assert greedy(graph, small).fits
    assert not evaluate(graph, small, [0] * len(graph.nodes), "all on one").fits


def test_nodes_must_stand_in_order() -> None:
    """A node that needs a later one is refused."""
    with pytest.raises(InputError, match="must come after"):
        Graph((Node("x", "one", (1.0,), ("y",)), Node("y", "one", (1.0,))))


@pytest.mark.parametrize("family", ["word language model", "translation"])
def test_the_papers_recurrent_models_gain_from_a_learned_placement(family: str) -> None:
    """LSTM language model and attention NMT over four unequal devices: at least as fast as both baselines."""
    fast, slow = CHIP, replace(CHIP, compute={"fp32": Compute(5e12, 1.0)})
    chips = (fast, fast, slow, slow)
    numerics = Numerics("fp32", "fp32", "fp32", "fp32", master=None, optimizer="sgd", fused=False)
    model = (
        LstmLM(hidden=1024, recurrent_layers=2, vocabulary=20000, unroll=20)
        if family == "word language model"
        else AttentionNmt(hidden=512)
    )
    graph = unrolled(model, 64, numerics, chips, 5)
    devices = tuple(Device(f"{k}", 16e9, 5e-6, 50e9) for k in range(4))
    learned = learn(graph, devices, rounds=10, draws=24)
    alone = evaluate(graph, devices, [0] * len(graph.nodes), "one device")
    wire = sum(layer.count * layer.parameter_elements for layer in model.layers(64, numerics)) * 4
    assert sum(graph.gradients.values()) == pytest.approx(wire)
    assert learned.fits
    assert learned.time_s <= min(layer_wise(graph, devices).time_s, greedy(graph, devices).time_s)
    assert learned.time_s < alone.time_s


def test_a_decoder_waits_for_the_whole_memory_and_the_targets_embedding_for_nothing() -> None:
    """Attention reads all encoder states: no stretch of the decoder begins before the last of the encoder."""
    numerics = Numerics("fp32", "fp32", "fp32", "fp32", master=None, optimizer="sgd", fused=False)
    graph = unrolled(AttentionNmt(hidden=256), 16, numerics, (CHIP,), 4)
    nodes = {node.name: node for node in graph.nodes}
    decoder = next(name for name in nodes if name.startswith("forward") and name.endswith("decoder 0"))
    assert any(name.endswith("memory 3") for name in nodes[decoder].after)
    target = next(name for name in nodes if name.startswith("forward") and name.endswith("target embedding 2"))
    assert nodes[target].after == ()
    back = next(name for name in nodes if name.startswith("backward") and name.endswith("memory 3"))
    assert any(name.endswith("decoder 0") for name in nodes[back].after)
