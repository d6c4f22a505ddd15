"""Data-parallel Chakra traces on two streams: ASTRA-sim's recorded answers, and small cases by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from sim.engine.astra import AstraDimension, AstraSystem
from sim.engine.astra_links import collective_ns
from sim.engine.astra_trace import run_trace
from sim.errors import InputError
from sim.workload.chakra import Node, Trace

DATA = Path(__file__).parents[1] / "data"
SYSTEMS = {
    "exact": AstraSystem(endpoint_delay_ns=1),
    "par4": AstraSystem(endpoint_delay_ns=1, splits=4, active=4),
    "def": AstraSystem(endpoint_delay_ns=10, splits=4, local_mem_gb=1600.0),
}
SWITCH = (AstraDimension("Switch", 8, 50.0, 500.0),)


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def data_parallel(model: str, steps: int = 3) -> Trace:
    """Forward, backward in reverse order, an all-reduce behind each layer's backward, which its next forward awaits."""
    layers = [row for row in table("astra_data_parallel_layers.csv") if row["model"] == model]
    nodes: list[Node] = []
    last: tuple[int, ...] = ()
    reduced: dict[int, tuple[int, ...]] = {}
    for _ in range(steps):
        for i, layer in enumerate(layers):
            nodes.append(Node(len(nodes), data=last + reduced.get(i, ()), duration_us=int(layer["forward_us"])))
            last = (nodes[-1].id,)
        for i, layer in reversed(list(enumerate(layers))):
            nodes.append(Node(len(nodes), data=last, duration_us=int(layer["backward_us"])))
            last = (nodes[-1].id,)
            if size := int(layer["gradient_bytes"]):
                reduced[i] = (len(nodes),)
                nodes.append(collective(len(nodes), last, comm_size=size))
    return Trace(tuple(nodes))


def collective(key: int, data: tuple[int, ...] = (), **attributes: bool | int | str | tuple[bool, ...]) -> Node:
    given = {"comm_type": 0, "comm_size": 1 << 20, **attributes}
    return Node(key, f"collective {key}", "comm_coll", data=data, attributes=given)


def test_every_recorded_data_parallel_answer() -> None:
    """ResNet-50 and GPT-2 XL, three steps, 8 to 1024 devices, both backends: all 40 rows to the nanosecond."""
    traces = {model: data_parallel(model) for model in ("resnet50", "gpt2xl")}
    found = table("astra_data_parallel.csv")
    assert len(found) == 40
    for row in found:
        parts = zip(row["topology"].split("x"), row["npus"].split("x"), row["bandwidth_gib"].split("/"), strict=True)
        dims = tuple(AstraDimension(t, int(n), float(b), 500.0) for t, n, b in parts)
        system = replace(SYSTEMS[row["system"]], algorithms={"all_reduce": tuple(row["algorithms"].split("/"))})
        run = run_trace(traces[row["model"]], dims, system, row["backend"] == "aware")
        assert run.time_ns == int(row["ns"]), row


def test_streams_run_beside_each_other_and_each_one_node_at_a_time() -> None:
    """By hand: two collectives one after the other, beside 3 + 5 us of computation; metadata takes no time."""
    one = collective_ns(SWITCH, AstraSystem(), "all_reduce", 1 << 20)
    nodes = (
        Node(0, kind="metadata"),
        Node(1, data=(0,), duration_us=3),
        collective(2, (0,)),
        collective(3),
        Node(4, data=(1,), duration_us=5),
        Node(5, data=(2, 3)),
    )
    run = run_trace(Trace(nodes), SWITCH, AstraSystem())
    assert (run.time_ns, run.compute_ns, run.communication_ns) == (2 * one + 1, 8_001, 2 * one)
    assert (run.exposed_ns, run.collectives) == (2 * one - 8_000, 2)


def test_a_long_chain_of_metadata_takes_no_time() -> None:
    """5,000 nodes, one behind the other, then 2 us."""
    chain = [Node(i, kind="metadata", data=(i - 1,) if i else ()) for i in range(5000)]
    assert run_trace(Trace((*chain, Node(5000, data=(4999,), duration_us=2))), SWITCH, AstraSystem()).time_ns == 2000


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Node(1, kind="comm_send"), "is a comm_send"),
        (Node(1, attributes={"is_cpu_op": True}), "is_cpu_op"),
        (collective(1, comm_type=6), "comm_type 6"),
        (collective(1, comm_size=0), "has no comm_size"),
        (collective(1, pg_name="2"), "pg_name"),
        (collective(1, involved_dim=(False, True)), "involved_dim"),
    ],
)
def test_nodes_without_a_known_answer_are_refused(node: Node, words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_trace(Trace((node,)), SWITCH, AstraSystem())


def test_ranks_that_end_apart_are_refused() -> None:
    """The double binary tree ends at another time on every rank."""
    with pytest.raises(InputError, match="doubleBinaryTree"):
        run_trace(Trace((collective(1),)), SWITCH, AstraSystem({"all_reduce": ("doubleBinaryTree",)}))
