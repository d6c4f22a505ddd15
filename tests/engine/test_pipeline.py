"""Pipeline schedules: complete, in a possible order, and with the bubbles the papers state."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared import halved, pipeline

from sim.engine import simulate_step
from sim.engine.pipeline import merged_order
from sim.engine.schedules import in_flight, previous, stage_order
from sim.errors import InputError
from sim.plan.memory import in_flight as closed_in_flight
from sim.plan.records import PipelineSchedule, Plan
from sim.plan.step_record import Way

F1B, GPIPE = PipelineSchedule.ONE_F_ONE_B, PipelineSchedule.GPIPE
H1, V, DUAL = PipelineSchedule.ZB_H1, PipelineSchedule.ZB_V, PipelineSchedule.DUALPIPE
SHAPES = [(1, 1, 1, F1B), (2, 4, 1, F1B), (4, 8, 2, F1B), (4, 2, 1, F1B), (8, 32, 4, F1B), (6, 12, 3, F1B)]
SHAPES += [(4, 8, 1, H1), (4, 2, 1, H1), (8, 9, 1, H1), (4, 7, 2, V), (6, 20, 2, V)]
SHAPES += [(2, 4, 2, DUAL), (6, 12, 2, DUAL), (8, 30, 2, DUAL)]


@pytest.mark.parametrize(("stages", "micro_batches", "chunks", "schedule"), SHAPES)
def test_every_pass_runs_once_and_after_what_it_needs(
    stages: int, micro_batches: int, chunks: int, schedule: PipelineSchedule
) -> None:
    """A schedule holds each (stage, chunk, micro-batch, direction) once; no pass before its input or its forward, no
    gradients of weights before those of inputs."""
    order = merged_order(stages, micro_batches, chunks, schedule)
    place = {(p.stage, p.forward, p.chunk, p.micro_batch): k for k, p in enumerate(order) if p.way != Way.WEIGHTS}
    each = micro_batches * chunks // (2 if schedule == DUAL else 1)
    assert len(place) == 2 * stages * each
    for k, item in enumerate(order):
        mine = (item.stage, item.forward, item.chunk, item.micro_batch)
        before = previous(*item[:3], stages, chunks, schedule)
        assert before is None or place[before[0], item.forward, before[1], item.micro_batch] < k
        assert item.forward or place[item.stage, True, item.chunk, item.micro_batch] < k
        assert item.way != Way.WEIGHTS or place[mine] < k
    halves = [[p[:1] + p[2:] for p in order if p.way == way] for way in (Way.INPUTS, Way.WEIGHTS)]
    assert sorted(halves[0]) == sorted(halves[1])
    assert bool(halves[0]) == (schedule in (H1, V, DUAL))


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize(("stages", "micro_batches"), [(1, 3), (2, 2), (4, 8), (16, 64)])
def test_one_f_one_b_has_the_bubble_of_the_paper(stages: int, micro_batches: int, engine: str) -> None:
    """(m + P − 1)(f + b): a bubble of (P−1)/(m+P−1) of the step (Narayanan et al. 2021, §2.2.1)."""
    step = simulate_step(pipeline([(1.0, 2.0)] * stages, micro_batches), engine)  # type: ignore[arg-type]
    assert step.time_s == (micro_batches + stages - 1) * 3.0
    assert step.bubble_s / step.time_s == pytest.approx((stages - 1) / (micro_batches + stages - 1), rel=1e-12)


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize(("stages", "micro_batches", "chunks"), [(4, 8, 2), (8, 32, 4), (4, 4, 2), (2, 6, 8)])
def test_interleaving_divides_the_bubble_by_the_chunks(
    stages: int, micro_batches: int, chunks: int, engine: str
) -> None:
    """v chunks per device shorten the bubble to 1/v (Narayanan et al. 2021, §2.2.2)."""
    whole = simulate_step(pipeline([(1.0, 2.0)] * stages, micro_batches), engine)  # type: ignore[arg-type]
    cut = simulate_step(pipeline([(1.0, 2.0)] * stages, micro_batches, chunks), engine)  # type: ignore[arg-type]
    assert cut.bubble_s == pytest.approx(whole.bubble_s / chunks, rel=1e-12)
    assert cut.compute_s == pytest.approx(whole.compute_s, rel=1e-12)


def test_gpipe_takes_as_long_as_1f1b_but_holds_every_micro_batch() -> None:
    """With equal passes the two schedules differ in memory only."""
    passes = [(1.0, 2.0)] * 4
    first = simulate_step(pipeline(passes, 8, schedule="gpipe"))
    assert first.time_s == simulate_step(pipeline(passes, 8)).time_s
    assert in_flight(0, 4, 8, 1, GPIPE) == (8,)
    assert in_flight(0, 4, 8, 1, F1B) == (4,)


THIRDS = (1.0, 1.0, 1.0)  # of a micro-batch on a stage: forward, gradients of inputs, gradients of weights
UNEVEN = (1.0, 1.5, 0.5)


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize(("f", "i", "w"), [THIRDS, UNEVEN, (1.0, 1.2, 0.8)])
@pytest.mark.parametrize(("stages", "micro_batches"), [(2, 4), (4, 8), (8, 64), (6, 14)])
def test_zb_h1_has_the_bubble_of_the_paper(
    stages: int, micro_batches: int, f: float, i: float, w: float, engine: str
) -> None:
    """(P − 1)(F + B − 2W), B the whole backward pass (Qi et al. 2023, table 2; DeepSeek-AI 2024, table 2)."""
    step = simulate_step(halved(stages, micro_batches, H1, f, i, w), engine)  # type: ignore[arg-type]
    assert step.time_s - micro_batches * (f + i + w) == pytest.approx((stages - 1) * (f + i - w), rel=1e-9)


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize("beside", [1.0, 0.9])
@pytest.mark.parametrize(("f", "i", "w"), [THIRDS, UNEVEN])
@pytest.mark.parametrize(("stages", "micro_batches"), [(2, 4), (4, 8), (8, 64), (16, 120)])
def test_dualpipe_idles_no_longer_than_the_paper_says(
    stages: int, micro_batches: int, f: float, i: float, w: float, beside: float, engine: str
) -> None:
    """(P/2 − 1)(F&B + B − 3W) (DeepSeek-AI 2024, table 2): exactly where the three parts are equal; else less, because
    the published schedule begins its main part with a pair that is not overlapped."""
    both = beside * (f + i + w)
    step = simulate_step(halved(stages, micro_batches, DUAL, f, i, w, both), engine)  # type: ignore[arg-type]
    told = (stages / 2 - 1) * (both + i + w - 3 * w)
    assert step.bubble_s <= told * (1 + 1e-9)
    assert step.bubble_s >= told - (f + i + w) * stages / 8
    if (f, i, w, beside) == (*THIRDS, 1.0):
        assert step.time_s - 3.0 * micro_batches == pytest.approx(told, rel=1e-9)


@pytest.mark.parametrize("engine", ["simpy", "recursion"])
@pytest.mark.parametrize(("stages", "micro_batches"), [(2, 4), (4, 8), (8, 64), (6, 14)])
def test_zb_v_never_waits_where_its_three_passes_are_equal(stages: int, micro_batches: int, engine: str) -> None:
    """Then a stage runs from its first pass to its last without a gap; the last stage begins P − 1 chunks later."""
    step = simulate_step(halved(stages, micro_batches, V, *THIRDS), engine)  # type: ignore[arg-type]
    assert step.time_s == pytest.approx(3.0 * micro_batches + (stages - 1) * 0.5, rel=1e-9)


def test_activations_of_the_schedules_as_printed() -> None:
    """In micro-batches through a whole stage: P of 1F1B and zero bubble, P + 1 of DualPipe (DeepSeek-AI 2024, table 2);
    ZB-V as much as 1F1B, in halves (Qi et al. 2024)."""
    stages, m = 8, 20
    for stage in range(stages):
        assert sum(in_flight(stage, stages, m, 1, H1)) == stages
        assert sum(in_flight(stage, stages, m, 2, V)) == 2 * stages
        assert sum(in_flight(stage, stages, m, 2, DUAL)) == stages + 1
    assert max(sum(in_flight(p, stages, m, 1, F1B)) for p in range(stages)) == stages


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 4), st.sampled_from(tuple(PipelineSchedule)))
def test_micro_batches_in_flight_match_the_schedule(
    stages: int, rounds: int, chunks: int, schedule: PipelineSchedule
) -> None:
    """The closed form that memory uses counts what the schedule holds at its fullest moment."""
    if schedule == DUAL:
        stages += stages % 2
    if schedule in (V, DUAL):
        rounds += 1
    if stages == 1 or schedule.splits:
        chunks = 1
    micro_batches = rounds * stages
    plan = Plan(1, micro_batches, pipeline=stages, virtual_stages=chunks, schedule=schedule)
    for stage in range(stages):
        counted = in_flight(stage, stages, micro_batches, plan.chunks, schedule)
        assert closed_in_flight(stage, plan) == counted


def test_the_last_stage_alternates_from_the_start() -> None:
    """1F1B: the last stage runs forward and backward in turn, the first P − 1 forward passes ahead."""
    last = [item.forward for item in stage_order(3, 4, 6, 1, F1B)]
    first = [item.forward for item in stage_order(0, 4, 6, 1, F1B)]
    assert last == [True, False] * 6
    assert first[:5] == [True, True, True, True, False]


def test_interleaving_refuses_micro_batches_that_do_not_fill_groups() -> None:
    """The interleaved order advances micro-batches in groups of P."""
    with pytest.raises(InputError, match="multiples of 4"):
        merged_order(4, 6, 2, F1B)


def test_a_message_between_stages_is_exposed_in_fill_and_drain() -> None:
    """One micro-batch through P stages waits for 2(P−1) messages."""
    step = simulate_step(pipeline([(1.0, 2.0)] * 4, 1, send_s=0.25))
    assert step.time_s == 4 * 3.0 + 6 * 0.25
    assert step.exposed_communication_s + step.bubble_s == pytest.approx(step.time_s - 3.0)
