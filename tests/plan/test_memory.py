"""Bytes per device: sharding identities, in-flight activations, levers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import CHIP, GIB, NUMERICS, model

from sim.device.records import Memory
from sim.errors import InputError
from sim.plan import Plan, check_plan, device_memory, fullest, infeasible
from sim.plan.framework import Framework
from sim.plan.memory import in_flight, layer_memory, level
from sim.workload.graph import Section, Tensor
from sim.workload.liveness import peak
from sim.workload.records import Numerics
from sim.workload.recurrent import LstmLM
from sim.workload.resnet import ResNet
from sim.workload.translation import AttentionNmt
from sim.workload.vit import VisionTransformer

BASE = Plan(1, 64, data=8, framework=Framework(overlap_gradients=False))


def _kinds(plan: Plan, numerics: Numerics = NUMERICS, depth: int = 8) -> dict[str, float]:
    return dict(device_memory(model(depth), plan, numerics, CHIP)[0].bytes_by_kind)


def test_sparse_weights_are_held_packed_beside_the_dense() -> None:
    """2:4 in the MLP of ViT-L (24 blocks of 2·4·1024²): 1.125 B a weight forward, as much transposed for backward."""
    vision = VisionTransformer(hidden=1024, depth=24, heads=16)
    dense, pruned = (
        device_memory(vision, Plan(8, 8), Numerics(sparse_products=names), CHIP)[0].bytes_by_kind["weights"]
        for names in ((), ("mlp.*",))
    )
    assert pruned - dense == 2 * 1.125 * 24 * 2 * 4 * 1024**2


def test_mixed_precision_adam_takes_18_bytes_per_parameter() -> None:
    """bf16 weights 2, fp32 gradients 4, master 4, two moments 8 (Rajbhandari et al. 2020, §3.1)."""
    kinds = _kinds(BASE)
    n = model().parameters
    assert kinds["weights"] == pytest.approx(2 * n, rel=1e-3)
    assert kinds["gradients"] == pytest.approx(4 * n, rel=1e-3)
    assert kinds["master"] == pytest.approx(4 * n, rel=1e-3)
    assert kinds["optimizer"] == pytest.approx(8 * n, rel=1e-3)


@pytest.mark.parametrize(
    ("sharding", "divided"),
    [
        ("optimizer", {"master", "optimizer"}),
        ("gradients", {"master", "optimizer", "gradients"}),
        ("full", {"master", "optimizer", "gradients", "weights"}),
    ],
)
def test_each_sharding_stage_divides_one_kind_more(sharding: str, divided: set[str]) -> None:
    """ZeRO-1, 2, 3: exactly 1/N of what is sharded (same, §5)."""
    whole, cut = _kinds(BASE), _kinds(replace(BASE, sharding=sharding))  # type: ignore[arg-type]
    for kind in ("weights", "gradients", "master", "optimizer"):
        assert cut[kind] == pytest.approx(whole[kind] / (8 if kind in divided else 1), rel=1e-12)


def test_a_sharding_group_divides_by_its_size() -> None:
    """Shards over 4 of 8 ranks."""
    whole, cut = _kinds(BASE), _kinds(replace(BASE, sharding="full", shard_group=4))
    assert cut["weights"] == pytest.approx(whole["weights"] / 4)


def test_fully_sharded_devices_hold_the_two_largest_blocks_whole() -> None:
    """The running block and the one gathered ahead, and the gradient of one (embedding and a block here)."""
    blocks = [layer.parameter_elements for layer in model().layers(1, NUMERICS) for _ in range(layer.count)]
    blocks.sort(reverse=True)
    kinds = _kinds(replace(BASE, sharding="full"))
    assert kinds["communication"] == pytest.approx(sum(blocks[:2]) * 2 + blocks[0] * 4)


def test_a_limit_to_whole_parameters_holds_no_two_blocks() -> None:
    """DeepSpeed's `stage3_max_live_parameters`: that many at 2 bytes, but no less than the largest part (of a block its
    two matrices, 8 h²), whose gradients of 4 bytes are on their way; a large limit leaves two blocks whole."""
    parts = [p.elements for layer in model().layers(1, NUMERICS) for p in layer.parameters]
    blocks = sorted(layer.parameter_elements for layer in model().layers(1, NUMERICS) for _ in range(layer.count))
    for limit, whole in ((1.0, max(parts)), (1.1 * max(parts), 1.1 * max(parts)), (1e15, sum(blocks[-2:]))):
        kinds = _kinds(replace(BASE, sharding="full", framework=Framework(live_parameters=limit)))
        assert kinds["communication"] == pytest.approx(whole * 2 + max(parts) * 4)


def test_the_first_stage_holds_most_micro_batches() -> None:
    """1F1B: stage p holds min(P − p, m)."""
    plan = Plan(1, 16, pipeline=4)
    assert [in_flight(p, plan) for p in range(4)] == [(4,), (3,), (2,), (1,)]
    assert in_flight(0, replace(plan, global_batch=2)) == (2,)
    assert in_flight(3, replace(plan, schedule="gpipe")) == (16,)
    stages = device_memory(model(), plan, NUMERICS, CHIP)
    middle = [stage.bytes_by_kind["activations"] for stage in stages[1:3]]
    assert middle[0] / middle[1] == pytest.approx(3 / 2)


def test_recomputation_keeps_less_and_works_with_more() -> None:
    """full < selective < none in kept activations; what the block being recomputed keeps is workspace while it runs."""
    kept = {r: _kinds(replace(BASE, recompute=r)) for r in ("none", "selective", "full")}  # type: ignore[arg-type]
    assert kept["full"]["activations"] < kept["selective"]["activations"] <= kept["none"]["activations"]
    assert kept["full"]["workspace"] >= kept["none"]["workspace"]
    layers = {layer.kind: layer for layer in model().layers(1, NUMERICS)}
    block = layers["block"]
    again = block.workspace_bytes + block.saved_bytes["none"] - block.saved_bytes["full"]
    assert kept["full"]["workspace"] == max(again, layers["head"].workspace_bytes)


def test_recomputing_some_layers_lies_between() -> None:
    """Half of the blocks recomputed: half of the saving."""
    full, none = (_kinds(replace(BASE, recompute=r))["activations"] for r in ("full", "none"))  # type: ignore[arg-type]
    half = _kinds(replace(BASE, recompute="full", recompute_layers=4))["activations"]
    assert full < half < none
    assert none - half == pytest.approx((none - full) / 2, rel=0.1)


def test_offloading_the_optimizer_frees_its_state() -> None:
    """Moments and master copy live on the host."""
    kinds = _kinds(replace(BASE, offload="optimizer"))
    assert kinds["optimizer"] == kinds["master"] == 0.0


def test_checkpoints_go_to_the_host_logits_do_not() -> None:
    """The inputs of 8 blocks, 4·512·1,024 of 2 bytes each, two of which are under way; the head's are used at once."""
    plan = replace(BASE, sub_batch=4, recompute="full", offload="activations")
    block = 4 * 512 * 1024 * 2
    (memory,) = device_memory(model(), plan, NUMERICS, CHIP)
    assert memory.offloaded_bytes == 8 * block
    kept = _kinds(replace(plan, offload="none"))["activations"] - memory.bytes_by_kind["activations"]
    assert kept == pytest.approx((8 - 2) * block, rel=1e-9)


def test_a_copy_of_the_tied_embedding_sits_on_the_last_stage() -> None:
    """Two stages of a tied model: the last holds the table too."""
    first, last = device_memory(model(), Plan(1, 2, pipeline=2), NUMERICS, CHIP)
    untied = device_memory(model(tied=False), Plan(1, 2, pipeline=2), NUMERICS, CHIP)[1]
    assert last.bytes_by_kind["weights"] == pytest.approx(untied.bytes_by_kind["weights"], rel=1e-3)
    assert first.bytes_by_kind["weights"] == pytest.approx(last.bytes_by_kind["weights"], rel=0.05)


def test_what_does_not_fit_comes_with_levers_and_their_effect() -> None:
    """The verdict names the device, need and capacity; levers that make it fit come first."""
    small = replace(CHIP, memory=Memory(2 * GIB, 1e12, 1.0))
    reason = infeasible(model(), BASE, NUMERICS, small)
    worst = fullest(device_memory(model(), BASE, NUMERICS, small))
    assert reason.need_bytes == worst.total_bytes > reason.have_bytes == 2 * GIB
    assert "fits" in reason.levers[0].note
    changes = {lever.change for lever in reason.levers}
    assert {"sharding: full", "recompute: full"} <= changes
    assert any(change.startswith("devices with") for change in changes)


@pytest.mark.parametrize(
    ("loads", "amount", "added"),
    [([0.0, 17.0, 17.0], 60.0, [94 / 3, 43 / 3, 43 / 3]), ([0.0, 50.0], 20.0, [20.0, 0.0]), ([5.0], 3.0, [3.0])],
)
def test_shards_of_an_embedding_level_the_devices(loads: list[float], amount: float, added: list[float]) -> None:
    """{60, 17, 17} GB become {31.3, 31.3, 31.3}: the paper's {32, 31, 31} (PPoPP 2019, table 5)."""
    assert level(loads, amount) == pytest.approx(added)


def test_sharding_an_embedding_evens_out_a_layer_parallel_worker() -> None:
    """Embedding, two LSTM layers, softmax on four devices; the table cut into three pieces moves, nothing is lost."""
    lstm = LstmLM(hidden=512, recurrent_layers=2, vocabulary=60000, unroll=10)
    numerics = Numerics("fp32", "fp32", "fp32", "fp32", master=None, optimizer="sgd", fused=False)
    plan = Plan(16, 64, data=4, pipeline=4, layer_schedule="wavefront", sparse_embeddings=True)
    whole = [d.total_bytes for d in device_memory(lstm, plan, numerics, CHIP)]
    cut = [d.total_bytes for d in device_memory(lstm, replace(plan, embedding_shards=3), numerics, CHIP)]
    assert cut[0] == pytest.approx(cut[1]) == pytest.approx(cut[2])
    assert sum(cut) == pytest.approx(sum(whole))
    assert max(cut[:3]) < whole[0]


def test_what_a_framework_keeps_beside_the_model() -> None:
    """DeepSpeed: fp32 gradients of the updated shard, one micro-batch more than 1F1B needs, fixed buckets."""
    plan = Plan(1, 64, data=4, pipeline=2, sharding="optimizer")
    alone = device_memory(model(), plan, NUMERICS, CHIP)[0]
    copying = device_memory(model(), replace(plan, framework=Framework(update_buffer="fp32")), NUMERICS, CHIP)[0]
    plain = alone.bytes_by_kind
    assert copying.total_bytes - alone.total_bytes == pytest.approx(plain["master"])
    # the copy lives when activations are given up: what fits in their place is not needed on top
    place = plain["activations"] + plain["workspace"]
    assert copying.needed_bytes == pytest.approx(alone.total_bytes + max(0.0, plain["master"] - place))
    spare = device_memory(model(), replace(plan, framework=Framework(spare_buffers=1)), NUMERICS, CHIP)[0].bytes_by_kind
    assert spare["activations"] == pytest.approx(plain["activations"] * 3 / 2)
    kept = device_memory(model(), replace(plan, framework=Framework(reserve_bytes=5e9)), NUMERICS, CHIP)[
        0
    ].bytes_by_kind
    assert kept["reserve"] - plain["reserve"] == pytest.approx(5e9)


def test_what_recomputation_keeps_takes_memory() -> None:
    """The first, third and fifth product of a block without a gate (query, value, up; the last one's is read by none)
    beside what it received: of 8 blocks of the hidden size h and feed-forward 4h, 6h a token in bf16; in fp8 half."""
    full, every, narrow = (
        _kinds(replace(BASE, recompute="full", saved_ops=ops))["activations"]
        for ops in ((), ("products/2",), ("products/2:fp8",))
    )
    asked = model(8)
    second = 8 * asked.sequence * (2 * asked.hidden + asked.mlp(False).ffn) * 2
    assert every - full == pytest.approx(second)
    assert narrow - full == pytest.approx(second / 2)


def test_the_logits_are_free_before_a_block_recomputes() -> None:
    """One stage: the fullest moment is backward of the head with all blocks' activations, or that of a block without
    the head's; with a small vocabulary the block decides and the head's activations do not count."""
    plan = Plan(4, 4, recompute="full")
    for vocabulary in (64, 256000):
        layers = model(vocabulary=vocabulary).layers(4, NUMERICS)
        kinds = layer_memory(layers, plan, NUMERICS, CHIP)[0].bytes_by_kind
        blocks = sum(x.saved_bytes["full"] * x.count for x in layers if x.kind != "head")
        block, head = (next(x for x in layers if x.kind == kind) for kind in ("block", "head"))
        again = block.saved_bytes["none"] - block.saved_bytes["full"]
        moments = (
            blocks + head.saved_bytes["full"] + head.workspace_bytes,
            blocks + block.workspace_bytes + again,
        )
        assert kinds["activations"] + kinds["workspace"] == pytest.approx(max(moments))


def test_a_compiler_gathers_one_tensor_at_a_time() -> None:
    """Fully sharded: two gathered blocks and one block's gradients in eager wraps, tensors where it is compiled."""
    plan = Plan(1, 8, data=8, sharding="full")
    layers = model().layers(1, NUMERICS)
    eager, compiled = (
        layer_memory(layers, plan, numerics, CHIP)[0].bytes_by_kind["communication"]
        for numerics in (NUMERICS, replace(NUMERICS, launch="graph"))
    )
    tensors = sorted((p.elements for x in layers for p in x.parameters), reverse=True)
    assert compiled == pytest.approx(2 * sum(tensors[:2]) + 4 * tensors[0])
    assert compiled <= eager


def test_gradients_of_a_fully_sharded_step_are_sharded_once() -> None:
    """ZeRO-3 with plain SGD: a device holds its share of the two blocks' gradients alive, their whole is a buffer:
    fewer bytes of gradients than unsharded, by the number of ranks."""
    numerics = Numerics("fp32", "fp32", "fp32", "fp32", master=None, optimizer="sgd")
    layers = model().layers(1, numerics)
    whole, cut = (
        layer_memory(layers, replace(BASE, global_batch=8, sharding=sharding), numerics, CHIP)[0].bytes_by_kind
        for sharding in ("none", "full")  # type: ignore[arg-type]
    )
    assert cut["gradients"] == pytest.approx(whole["gradients"] / 8)


def test_pieces_of_an_embedding_need_stages_and_a_table() -> None:
    """On one stage, or where no gradient is rows, there is nothing to cut."""
    with pytest.raises(InputError, match="embedding_shards: the pieces lie on the stages"):
        check_plan(Plan(1, 8, data=8, embedding_shards=2), 8)
    with pytest.raises(InputError, match="embedding_shards: the model has no embedding table"):
        device_memory(model(), Plan(1, 8, data=4, pipeline=2, embedding_shards=2), NUMERICS, CHIP)


def test_a_second_pass_keeps_gradients_and_moves_nothing_else() -> None:
    """Word LM with plain SGD: one pass applies every gradient at once, two passes must sum them all; activations and
    workspace are those of one sub-batch either way."""
    lstm = LstmLM(hidden=512, vocabulary=1000, unroll=10)
    numerics = Numerics("fp32", "fp32", "fp32", "fp32", master=None, optimizer="sgd")
    one, two = (device_memory(lstm, Plan(8, 8 * n), numerics, CHIP)[0].bytes_by_kind for n in (1, 2))
    assert two["gradients"] == pytest.approx(4 * lstm.parameters)
    assert one["gradients"] < two["gradients"]
    assert {k: v for k, v in one.items() if k != "gradients"} == {k: v for k, v in two.items() if k != "gradients"}


def test_memory_by_layers_is_the_liveness_of_the_whole_graph() -> None:
    """Activations and workspace of one device, layer by layer, are the peak over every op of the whole graph."""
    numerics = Numerics("fp32", "fp32", "fp32", "fp32", master=None, optimizer="sgd")
    for model_ in (LstmLM(hidden=64, vocabulary=100, unroll=6), ResNet(depth=18, image=64), AttentionNmt(hidden=32)):
        graph = model_.graph(4, numerics)
        final = {t for made in graph.gradients.values() for t in made}
        without = replace(graph, backward=tuple(_without(section, final) for section in graph.backward), gradients={})
        top = peak(without, numerics, reuse=True)
        kinds = device_memory(model_, Plan(4, 4), numerics, CHIP)[0].bytes_by_kind
        assert kinds["activations"] + kinds["workspace"] == pytest.approx(
            top.gradients + top.activations + top.workspace
        )


def _without(section: Section, tensors: set[Tensor]) -> Section:
    """The section with these tensors made nowhere: gradients of weights are the plan's to count."""

    def kept(these: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(t for t in these if t not in tensors)

    nodes = [replace(node, inputs=kept(node.inputs), outputs=kept(node.outputs)) for node in section.nodes]
    return Section(section.layer, section.kind, section.steps, nodes)


def test_an_allocator_holds_a_share_beside_what_comes_and_goes() -> None:
    """A framework's share of activations, workspace and buffers, given back when memory is short; nothing where the
    accelerator reserves nothing either (memory as the framework itself counts it)."""
    held = replace(CHIP, memory=replace(CHIP.memory, reserve_bytes=1.0))
    plan = replace(BASE, framework=Framework(fragmentation=0.15))
    kinds = dict(device_memory(model(), plan, NUMERICS, held)[0].bytes_by_kind)
    moving = kinds["activations"] + kinds["workspace"] + kinds["communication"]
    assert kinds["fragmentation"] == pytest.approx(0.15 * moving)
    assert _kinds(plan)["fragmentation"] == 0.0
    whole = sum(kinds.values())
    for place, fits in ((0.99 * kinds["fragmentation"], True), (1.01 * kinds["fragmentation"], False)):
        chip = replace(held, memory=replace(held.memory, capacity_bytes=whole - place))
        found = device_memory(model(), plan, NUMERICS, chip)[0]
        assert found.fits == found.tight == fits  # free blocks are given back, others not


def test_a_dummy_gradient_stands_for_every_shape_of_a_block() -> None:
    """Transformer Engine keeps one empty gradient for each shape of weights: 12·h² of a GPT block in bf16, however many
    blocks there are; experts, alike and small, are left out."""
    for depth in (4, 8):
        dummy, plain = (
            _kinds(replace(BASE, framework=Framework(overlap_gradients=False, dummy_gradients=on)), depth=depth)
            for on in (True, False)
        )
        assert dummy["gradients"] - plain["gradients"] == pytest.approx(2 * 12 * 1024**2, rel=0.01)
