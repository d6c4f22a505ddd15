"""Chakra traces: what is written is read again; broken and cyclic files are refused with node and byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.files.models import preset
from sim.ops import Collective, Lump, total_flops
from sim.workload.chakra import NODE_KINDS, Node, Trace, decode, encode, in_order, read_trace, write_trace
from sim.workload.records import Numerics, Shard
from sim.workload.traces import TraceModel, ops_of, trace_of

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.lists(st.booleans(), min_size=1).map(tuple),
    st.lists(st.text(), min_size=1).map(tuple),
    st.lists(st.floats(allow_nan=False), min_size=1).map(tuple),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1).map(tuple),
)
NODES = st.builds(
    Node,
    id=st.integers(0, 2**64 - 1),
    name=st.text(max_size=20),
    kind=st.sampled_from(NODE_KINDS),
    control=st.lists(st.integers(0, 300), max_size=3).map(tuple),
    data=st.lists(st.integers(0, 300), max_size=3).map(tuple),
    start_us=st.integers(0, 2**63),
    duration_us=st.integers(0, 2**63),
    attributes=st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
)


@given(st.lists(NODES, max_size=5), st.text(max_size=8), st.dictionaries(st.text(max_size=5), VALUES, max_size=2))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(nodes: list[Node], version: str, attributes: dict[str, bool]) -> None:
    """Every field and every kind of attribute survives."""
    trace = Trace(tuple(nodes), version, attributes)
    assert decode(encode(trace)) == trace


def test_bytes_are_those_of_the_protobuf_encoding() -> None:
    """By hand: length, key (field << 3 | wire type), base-128 numbers (protobuf encoding guide)."""
    node = Node(300, "a", "comp", data=(1, 2), attributes={"num_ops": 5})
    attribute = b"\x0a\x07num_ops" + b"\x48\x05"
    body = b"\x08\xac\x02" + b"\x12\x01a" + b"\x18\x04" + b"\x2a\x02\x01\x02" + b"\x30\x00" + b"\x38\x00"
    body += b"\x52" + bytes([len(attribute)]) + attribute
    assert encode(Trace((node,))) == b"\x07\x0a\x050.0.4" + bytes([len(body)]) + body


def test_other_integer_widths_are_read() -> None:
    """uint64, int32, sint64 and fixed64 attributes of other writers, and dependencies that are not packed."""
    attributes = [b"\x0a\x01a\x68\x07", b"\x0a\x01b\x38\x07", b"\x0a\x01c\x88\x01\x0d"]
    attributes.append(b"\x0a\x01d\xa9\x01" + (7).to_bytes(8, "little"))
    body = b"\x08\x02\x18\x04\x28\x01\x28\x00" + b"".join(b"\x52" + bytes([len(a)]) + a for a in attributes)
    (node,) = decode(b"\x00" + bytes([len(body)]) + body).nodes
    assert node.data == (1, 0)
    assert node.attributes == {"a": 7, "b": 7, "c": -7, "d": 7}


@given(st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_a_truncated_file_is_refused(missing: int) -> None:
    """Cut anywhere but between messages: the node and the byte are named."""
    data = encode(Trace(tuple(Node(i, f"op {i}", attributes={"num_ops": i}) for i in range(12))))
    cut = data[: max(1, len(data) - missing)]
    ends, position = set(), 0
    while position < len(data):
        position += 1 + data[position]
        ends.add(position)
    if len(cut) in ends:
        assert len(decode(cut).nodes) < 12
        return
    with pytest.raises(InputError, match=r"(node \d+|global metadata): is truncated.*\(byte \d+\)"):
        decode(cut)


def test_a_cycle_is_named_with_its_bytes(tmp_path: Path) -> None:
    """The message walks the cycle and says where its first node lies in the file."""
    nodes = (Node(1), Node(2, data=(1, 4)), Node(3, control=(2,)), Node(4, data=(3,)))
    path = tmp_path / "cyclic.et"
    write_trace(Trace(nodes), path)
    offset = len(encode(Trace(nodes[:1])))
    with pytest.raises(InputError, match=rf"node 2: depends on itself: 2 -> 4 -> 3 -> 2 \(byte {offset}\)"):
        read_trace(path)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ((Node(1, data=(9,)),), "depends on node 9, which is not in the trace"),
        ((Node(1), Node(1)), "second node of this id"),
        ((Node(1, kind="comm_coll", attributes={"comm_type": 77}),), "comm_type 77"),
    ],
)
def test_impossible_nodes_are_refused(nodes: tuple[Node, ...], words: str) -> None:
    """Unknown dependencies, double ids, unknown collectives."""
    with pytest.raises(InputError, match=words):
        ops_of(Trace(nodes))


@pytest.mark.parametrize("data", [b"", b"\x02\x0b\x00", b"\x00\x02\x18\x63", b"\x00" + b"\xff" * 11])
def test_noise_is_refused(data: bytes) -> None:
    """An empty file, an unknown wire type, an unknown node type, an endless number."""
    with pytest.raises(InputError, match="byte"):
        decode(data)


def test_order_follows_dependencies_then_ids() -> None:
    """Ready nodes run in ascending id."""
    nodes = (Node(5), Node(1, data=(5,)), Node(3), Node(2, control=(3,)))
    assert [node.id for node in in_order(Trace(nodes))] == [3, 2, 5, 1]


def test_a_step_of_a_model_survives_the_way_out_and_back(tmp_path: Path) -> None:
    """FLOPs and collectives of a sharded step are the same after writing and reading its trace."""
    layers = preset("gpt2").layers(1, Numerics(), Shard(4, True))
    path = tmp_path / "step.et"
    write_trace(trace_of(layers, {"tensor": 4}), path)
    ops = ops_of(read_trace(path), ranks=4)
    sent = [
        op for n in layers for _ in range(n.count) for op in (*n.forward, *n.backward) if isinstance(op, Collective)
    ]
    back = [op for op in ops if isinstance(op, Collective)]
    assert sorted((op.kind, op.bytes, op.axis) for op in sent) == sorted((op.kind, op.bytes, op.axis) for op in back)
    assert {op.format for op in ops if isinstance(op, Lump)} == {"bf16"}
    flops = sum(n.count * total_flops((*n.forward, *n.backward)) for n in layers)
    assert total_flops(ops) == pytest.approx(flops, rel=1e-9)


@pytest.mark.parametrize(
    ("types", "number"),
    [
        ("Tensor(c10::BFloat16), Tensor(float)", "bf16"),
        ("Tensor(float), Int", "fp32"),
        ("GenericList[Tensor(c10::Half),Tensor(c10::Half)]", "fp16"),
        ("Tensor(c10::Float8_e4m3fn)", "fp8"),
        ("Int, Bool", "fp16"),
        ("", "fp16"),
    ],
)
def test_nodes_run_in_the_types_of_the_trace(types: str, number: str, tmp_path: Path) -> None:
    """PyTorch's names of types (torch/csrc/profiler); a node that names none runs in the numerics' format."""
    path = tmp_path / "typed.et"
    write_trace(Trace((Node(1, "gemm", attributes={"num_ops": 10}, types=types),)), path)
    (op,) = TraceModel(path=str(path)).layers(1, Numerics(compute="fp16"))[0].forward
    assert op.format == number


def test_a_trace_is_a_model(tmp_path: Path) -> None:
    """Recorded durations are replayed, in one block; the recording fixes the sub-batch."""
    path = tmp_path / "rank.et"
    write_trace(Trace((Node(1, "gemm", duration_us=25), Node(2, "sum", "comm_coll", data=(1,)))), path)
    model = TraceModel(path=str(path), samples=8)
    (layer,) = model.layers(8, Numerics())
    first, second = layer.forward
    assert isinstance(first, Lump)
    assert first.duration_s == pytest.approx(25e-6)
    assert isinstance(second, Collective)
    assert second.kind == "all_reduce"
    with pytest.raises(InputError, match="sub_batch"):
        model.layers(4, Numerics())
