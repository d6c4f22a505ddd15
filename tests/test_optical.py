"""Optical circuit switches: shapes that blocks can take, the one that serves a plan, and what a failure costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.errors import InputError
from sim.files import load_scenario
from sim.files.clusters import load_cluster
from sim.network import Cluster
from sim.network.optical import shape_of, shapes
from sim.network.resize import resize
from sim.result import Result
from sim.simulation import simulate
from sim.simulation.properties import turned

POD = load_cluster("tpu-v4-ocs")
SMALL = (
    "cluster.devices=128",
    "workload.sizes={depth: 4, hidden: 1024, heads: 16, vocabulary: 32000, sequence: 1024}",
    "workload.family=transformer",
    "plan.global_batch=128",
    "plan.tensor=8",
    "target={units: null, steps: 20000}",
    "campaign=null",
)


def answer(*sets: str) -> Result:
    return simulate(load_scenario("horizon/topics/slice", [*SMALL, *sets]), levers=False)


def said(cluster: Cluster) -> tuple[str, str]:
    """Its shape as a scenario says it."""
    twisted = str("twisted" in shape_of(cluster)).lower()
    return f"cluster.shape={list(cluster.levels[0].sizes)}", f"cluster.twisted={twisted}"


@pytest.mark.parametrize(
    ("devices", "plain", "twisted"), [(64, 1, 0), (128, 3, 3), (256, 6, 3), (512, 10, 0), (1024, 15, 3), (4096, 28, 0)]
)
def test_the_shapes_are_the_factorisations_of_the_blocks(devices: int, plain: int, twisted: int) -> None:
    """Ordered triples of factors of devices / 64; twisted where two sides are k and one 2k, or one k and two 2k."""
    found = list(shapes(resize(POD, devices)))
    assert len({shape_of(each) for each in found}) == len(found) == plain + twisted
    assert sum("twisted" in shape_of(each) for each in found) == twisted
    assert all(each.devices == devices and not {n % 4 for n in each.levels[0].sizes} - {0} for each in found)
    assert [shape_of(each) for each in shapes(resize(POD, devices), twisted=True)] == [
        shape_of(each) for each in found if "twisted" in shape_of(each)
    ]


def test_devices_are_whole_blocks_as_cubic_as_they_come() -> None:
    """192 = 3 blocks: 4x4x12, not the 4x6x8 of a free torus."""
    assert shape_of(resize(POD, 192)) == "4x4x12"
    with pytest.raises(InputError, match=r"multiple of 64, a block of 4x4x4.*\(64 or 128\)"):
        resize(POD, 100)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["cluster.shape=[4, 4, 6]"], "cluster.shape: is not made of whole blocks of 4x4x4"),
        (["cluster.shape=[8, 16]"], "must have the 3 dimensions of a block"),
        (["cluster.shape=[]"], "must have the 3 dimensions of a block"),
        (["cluster.shape=[4, 4, 4]"], "cluster.devices: the shape has 64 devices"),
        (["cluster.shape=[2, 8, 8]"], "whole blocks"),
        (["cluster.shape=[4, 4, 8]", "cluster.twisted=true", "cluster.devices=auto"], "the shape has 128 devices"),
        (["cluster.devices=512", "cluster.twisted=true"], "no twisted torus of 512 devices"),
        (
            ["cluster.devices=512", "cluster.shape=[8, 8, 8]", "cluster.twisted=true"],
            "a twisted torus has one dimension",
        ),
        (["cluster={extends: tpu-v4-pod, devices: 128, shape: [4, 4, 8]}"], "needs optical switches"),
        (["cluster={extends: tpu-v4-pod, devices: 128, twisted: true}"], "needs optical switches"),
        (
            ["cluster={extends: dgx-h100-superpod, devices: 128, optical: {block: [4], reconfigure: 1 ms}}"],
            "to a torus",
        ),
    ],
)
def test_what_the_blocks_cannot_be_joined_to_is_refused(sets: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        answer(*sets)


def test_the_shape_chosen_is_the_best_of_those_given_one_by_one() -> None:
    asked = {shape_of(each): answer(*said(each)) for each in shapes(resize(POD, 128))}
    assert all(result.shape == shape for shape, result in asked.items())
    seconds = {shape: result.time_to_target.seconds for shape, result in asked.items() if result.time_to_target}
    assert len(seconds) == 6
    assert len(set(seconds.values())) > 3
    best = answer()
    assert best.considered == 6
    assert best.time_to_target is not None
    assert best.time_to_target.seconds == min(seconds.values()) == seconds[best.shape]
    plain = answer("cluster.twisted=false")
    assert seconds[plain.shape] == min(s for shape, s in seconds.items() if "twisted" not in shape)


def test_a_searched_plan_looks_at_every_shape() -> None:
    open_plan = ("plan.search=true", "plan.tensor=null", "plan.sub_batch=null")
    best = answer(*open_plan)
    given = [answer(*open_plan, *said(each)) for each in shapes(resize(POD, 128))]
    assert best.step.time_s == min(each.step.time_s for each in given)


def test_a_link_that_is_turned_is_turned_in_every_shape_and_part() -> None:
    """Also of `devices: auto`: links half as wide and slower to start are later, whatever is chosen."""
    for sets in (
        (),
        ("cluster.shape=[4, 4, 8]", "cluster.devices=null"),
        ("cluster.shape=null", "cluster.devices=auto"),
    ):
        scenario = load_scenario("horizon/topics/slice", [*SMALL, *sets])
        base = simulate(scenario, levers=False).time_to_target
        narrow = simulate(turned(scenario, "link_bandwidth", 150e9), levers=False).time_to_target
        other = simulate(scenario.with_("cluster.levels.0.link.base_s", 1e-3), levers=False).time_to_target
        assert base is not None
        assert narrow is not None
        assert other is not None
        assert min(narrow.seconds, other.seconds) > base.seconds
    assert scenario.with_("cluster.devices", 256).cluster_choices == ()


FAILING = ("campaign={failures: [{component: node, mtbf: 199 h}], checkpoints: {policy: asynchronous}, seeds: 16}",)


def test_a_torus_cabled_for_good_runs_while_all_its_hosts_work() -> None:
    """Availability 0.995 of each of 32 hosts: 85 % of the time, less detection, restart and the work lost."""
    static = ("cluster={extends: tpu-v4-pod, host: tpu-v4-host, devices: 128}", *FAILING)
    found = answer(
        *static, "campaign.recovery={spares: 0, repair: 1 h, detect: 0 s, restart: 0 s}", "target.steps=200000000"
    )
    assert found.campaign is not None
    assert found.campaign.goodput == pytest.approx((199 / 200) ** 32, abs=0.01)
    with pytest.raises(InputError, match="a torus takes no spare node"):
        answer(*static, "campaign.recovery={spares: 1, repair: 1 h}")


def test_a_spare_block_saves_the_wait_and_costs_a_reconfiguration() -> None:
    """Each failure: a block of 64 out, the spare in after the mirrors have turned; 5 minutes of that are seen."""
    optical = [*FAILING, "cluster.shape=[4, 4, 8]", "cluster.optical.reconfigure=0 s", "target.steps=4000000"]
    with_spare = "campaign.recovery={spares: 2, repair: 1 h}"
    fast, slow = (answer(*optical, with_spare, f"cluster.optical.reconfigure={t}").campaign for t in ("0 s", "300 s"))
    waiting = answer(*optical, "campaign.recovery={spares: 0, repair: 1 h}").campaign
    assert fast is not None
    assert slow is not None
    assert waiting is not None
    assert (slow.restart_s - fast.restart_s) / slow.failures == pytest.approx(300.0, rel=0.1)
    assert fast.spare_wait_s < 0.1 * waiting.spare_wait_s
    assert any("block of 64 devices" in note for note in fast.notes)
    with pytest.raises(InputError, match="at most the 2 blocks of the plan"):
        answer(*optical, "campaign.recovery={spares: 3, repair: 1 h}")


def test_a_spare_stands_for_a_block_of_the_size_it_has() -> None:
    """Blocks of 32 devices: four of them in 128, joined in more shapes."""
    halves = [*FAILING, "cluster.optical.block=[4, 4, 2]"]
    assert POD.optical is not None
    fine = replace(POD, optical=replace(POD.optical, block=(4, 4, 2)))
    assert {shape_of(each) for each in shapes(resize(fine, 128))} > {
        shape_of(each) for each in shapes(resize(POD, 128))
    }
    assert answer(*halves, "cluster.shape=[4, 8, 4]", "campaign.recovery={spares: 4, repair: 1 h}").campaign is not None
    with pytest.raises(InputError, match="at most the 4 blocks of the plan"):
        answer(*halves, "cluster.shape=[4, 8, 4]", "campaign.recovery={spares: 5, repair: 1 h}")
