"""Algorithmic speed-ups: arithmetic on the record, input-bound nodes, published savings of time."""

from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.files import document_of, load_scenario
from sim.files.scenario import build
from sim.plan.sped import frozen_share
from sim.plan.speedups import SPEEDUPS
from sim.report.run import render
from sim.simulation import simulate

RESNET = {
    "target": {"samples": 1.0e8},
    "workload": {"family": "resnet50", "numerics": {"optimizer": "momentum"}},
    "cluster": "dgx-a100",
    "plan": {"sub_batch": 256},
}


def run(base: dict[str, object], *methods: object, **more: object):
    asked = [{"method": m} if isinstance(m, str) else m for m in methods]
    return simulate(build(document_of({**base, "speedups": asked, **more}, "s")), levers=False)


def test_data_pruning_saves_time_and_flops_alike() -> None:
    """0.6 of the samples: 40 % of everything, steps included."""
    plain, pruned = run(RESNET), run(RESNET, "data_pruning")
    saved = pruned.speedups.alone[0]
    assert (saved.flops, saved.time) == pytest.approx((0.4, 0.4))
    assert pruned.time_to_target.seconds == pytest.approx(0.6 * plain.time_to_target.seconds)


def test_selective_backprop_pays_for_its_scoring() -> None:
    """Forward 1.2 and backward 0.8 times: 1 - (1.2 + 2·0.8)/3 = 6.7 % of the FLOPs with backward twice forward."""
    saved = run(RESNET, "selective_backprop").speedups.alone[0]
    assert saved.flops == pytest.approx(1 - 2.8 / 3, abs=0.01)


def test_freezing_everything_but_little_leaves_the_forward_pass() -> None:
    saved = run(RESNET, {"method": "layer_freezing", "amount": 0.95}).speedups.alone[0]
    assert saved.flops == pytest.approx(0.95 * 2 / 3, abs=0.06)


def test_freezing_freezes_one_block_after_the_other() -> None:
    """Against a run in small stretches: the depth frozen grows to all of them at the end."""
    for mean in (0.1, 0.25, 0.5, 0.6, 0.9):
        start, least = max(0.0, 1.0 - 2.0 * mean), max(0.0, 2.0 * mean - 1.0)
        moments = [(k + 0.5) / 20_000 for k in range(20_000)]
        depths = [least + (1 - least) * (t - start) / (1 - start) if t > start else 0.0 for t in moments]
        assert sum(depths) / len(depths) == pytest.approx(mean, abs=1e-4)
        for begin, end in ((0.0, 0.25), (0.25, 1.0), (0.7, 0.8)):
            held = sum(min(max(depth, begin), end) - begin for depth in depths) / len(depths) / (end - begin)
            assert frozen_share(mean, begin, end) == pytest.approx(held, abs=1e-3)
    assert frozen_share(0.0, 0.0, 1.0) == 0.0


COMPOSER = {
    **RESNET,
    "cluster": {"extends": "dgx-a100", "devices": 8, "host": "dgx-a100-80gb"},
    "plan": {"sub_batch": 256, "global_batch": 2048},
}
"""Batch of composer/yamls/models/resnet50.yaml on its authors' eight A100."""


@pytest.mark.parametrize(("workers", "rate"), [(None, 128 * 1.4 / 7.1e-3), (8, 8 * 8 * 1.4 / 7.1e-3)])
@pytest.mark.parametrize("amount", [0.25, 0.45])  # Composer's default; from a tenth of the run on, the least it advises
def test_freezing_saves_no_time_where_the_input_is_the_limit(workers, rate: float, amount: float) -> None:
    """Over 30 % of the FLOPs from a tenth of the run on, under 5 % of the time (4.8 printed), and the reason by name: a
    loader in Python, on all cores or with the eight workers per device of Composer's settings."""
    data = {"extends": "imagenet-python", "workers": workers}
    result = run(COMPOSER, {"method": "layer_freezing", "amount": amount}, training={"input": data})
    saved = result.speedups.alone[0]
    assert saved.flops > (0.30 if amount > 0.25 else 0.16)
    assert saved.time < 0.05
    assert abs(saved.time - saved.published_time) < 0.05
    assert result.plan.global_batch / result.step.time_s == pytest.approx(rate)
    assert result.speedups.after.limit == "input"
    assert "host cores" in render(result)


def test_savings_do_not_multiply() -> None:
    """Gradient compression hides behind a backward pass that freezing has cut."""
    slow = {"extends": "dgx-a100"}
    both = run({**RESNET, "cluster": slow}, "stochastic_depth", "selective_backprop", "local_sgd").speedups
    assert both.together.time != pytest.approx(both.product, abs=1e-4)
    assert both.together.flops < sum(each.flops for each in both.alone)


@pytest.mark.parametrize("method", ["selective_backprop", "stochastic_depth", "data_pruning"])
def test_published_savings_on_resnet(method: str) -> None:
    """Within 12 points of the printed saving of time, on hardware mostly not printed."""
    saved = run(RESNET, method).speedups.alone[0]
    assert saved.published_time is not None
    assert abs(saved.time - saved.published_time) < 0.12


def test_freezing_saves_more_where_input_is_no_limit() -> None:
    """Early blocks of a ResNet are limited by memory: their backward passes hold more time than FLOPs. The 5 % printed
    for an ImageNet run (Composer) include its input: this is an upper bound.
    """
    saved = run(RESNET, "layer_freezing").speedups.alone[0]
    assert saved.time > saved.flops > saved.published_time


def test_published_savings_on_bert() -> None:
    """Progressive layer dropping 24 %, sequence packing 50 %."""
    bert = {**RESNET, "workload": "bert-large", "plan": {"sub_batch": 16}}
    for method in ("progressive_layer_dropping", "sequence_packing"):
        saved = run(bert, method).speedups.alone[0]
        assert abs(saved.time - saved.published_time) < 0.05


SINGLE = {"compute": "fp32", "activations": "fp32", "weights": "fp32", "gradients": "fp32", "optimizer": "momentum"}


def test_sixteen_bits_on_v100() -> None:
    """2,855 to 8,322 images/s of ResNet-50 on eight V100: 65.6 % (NVIDIA's readme), in little more than half the memory
    (about half: Micikevicius et al., arXiv 1710.03740)."""
    numerics = {**SINGLE, "master": None}
    base = {"workload": {"family": "resnet50", "numerics": numerics}, "cluster": {"extends": "dgx-1v", "devices": 8}}
    saved = run({**RESNET, **base, "plan": {"sub_batch": 96}}, "mixed_precision").speedups.alone[0]
    assert saved.flops == 0.0
    assert abs(saved.time - saved.published_time) < 0.04
    assert 0.35 < saved.memory < 0.5


def test_what_a_speed_up_sets_is_what_the_other_keys_say() -> None:
    """Step and memory of full recomputation, asked for as a speed-up or in the plan; a pass more of three: -1/3."""
    bert = {**RESNET, "workload": "bert-large", "plan": {"sub_batch": 32}}
    asked, said = run(bert, "recomputation"), run({**bert, "plan": {"sub_batch": 32, "recompute": "full"}})
    assert (asked.step.time_s, asked.fullest.total_bytes) == (said.step.time_s, said.fullest.total_bytes)
    saved = asked.speedups.alone[0]
    assert saved.flops == pytest.approx(-1 / 3, abs=0.04)
    assert saved.time == pytest.approx(saved.published_time, abs=0.06)
    assert saved.memory > 0.4


def test_experts_cost_memory_and_a_seventh_of_the_samples() -> None:
    """At equal work per token: 1 - 1/7 of the FLOPs, but for the routing; less of the time."""
    bert = {**RESNET, "workload": "bert-large", "plan": {"sub_batch": 8}}
    saved = run(bert, {"method": "mixture_of_experts", "amount": 8}).speedups.alone[0]
    assert saved.flops == pytest.approx(6 / 7, abs=0.01)
    assert saved.flops - 0.1 < saved.time < saved.flops
    assert saved.memory < 0.0


def test_products_of_a_quarter_of_the_rank() -> None:
    """Two thin products cost r(n + k)/nk: 1/2 of a square one, 5/16 of one four times as wide.

    In squares of the width 1,024 a block has 12, attention over 512 tokens 1 and the head of 30,522 words 1.24 a block.
    """
    bert = {**RESNET, "workload": "bert-large", "plan": {"sub_batch": 32}}
    saved = run(bert, "low_rank").speedups.alone[0]
    wide, square, joined = 2 * 4.0 * 5 / 16, 1.0 / 2, 3.0 * (1 / 4) * (4 / 3)
    assert saved.flops == pytest.approx((12 - wide - square - joined) / (12 + 1 + 1.24), abs=0.02)
    assert saved.time == pytest.approx(saved.published_time, abs=0.05)


def test_two_of_four_values_save_more_here_than_was_measured() -> None:
    """Two of three feed-forward products at half the FLOPs; 6 % with 70 % of the run sparse (PyTorch, ViT-L)."""
    vit = {**RESNET, "workload": "vit-l16", "cluster": {"extends": "dgx-a100", "devices": 4}, "plan": {"sub_batch": 64}}
    saved = run(vit, "structured_sparsity").speedups.alone[0]
    assert saved.flops == pytest.approx(8 / 12 * (2 / 3) / 2, abs=0.03)  # 8 of 12 squares of the width a block
    assert saved.flops > saved.time > saved.published_time
    assert abs(0.7 * saved.time - saved.published_time) < 0.06


def test_a_student_of_half_the_blocks_hears_its_teacher() -> None:
    """(1 + 1/2 + 2·1/2) / 3 of the FLOPs."""
    bert = {**RESNET, "workload": "bert-large", "plan": {"sub_batch": 16}}
    assert run(bert, "distillation").speedups.alone[0].flops == pytest.approx(1 - 2.5 / 3, abs=0.01)


def test_pruned_channels_take_their_traffic_along() -> None:
    """39 % of the time where 40 % of the FLOPs and 55 % of the traffic go (PruneTrain)."""
    saved = run(RESNET, "channel_pruning").speedups.alone[0]
    assert saved.flops == pytest.approx(0.4)
    assert abs(saved.time - saved.published_time) < 0.02


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "progressive_layer_dropping"}, "has no heads"),
        ({"method": "layer_freezing", "amount": 2.0}, "must lie between"),
        ({"method": "layer_freezin"}, "no such speed-up"),
        ({"method": "large_batch"}, "said elsewhere"),
        ({"method": "mixed_precision"}, "says so already"),
        ({"method": "quantised_training"}, "computes in none of fp8"),
        ({"method": "low_rank"}, "has no heads"),
    ],
)
def test_what_does_not_apply_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(RESNET, asked)


def test_every_speedup_has_a_source_and_an_amount_in_its_range() -> None:
    for method in SPEEDUPS.values():
        assert method.source
        assert method.least <= method.default <= method.most


def test_without_speedups_nothing_changes() -> None:
    assert simulate(load_scenario("paper/word-lm"), levers=False).speedups is None
