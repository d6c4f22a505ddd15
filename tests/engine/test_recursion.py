"""Two engines, one truth: the recursion and the SimPy processes give the same times."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prepared import pipeline

from sim.engine import Program, Track, build, recursion, simulate_step, streams
from sim.engine.recursion import rates_of
from sim.engine.stages import Builder


def _same(program: Program) -> None:
    fast, reference = recursion.run(program), streams.run(program)
    assert fast.start == pytest.approx(reference.start, rel=1e-12, abs=1e-12)
    assert fast.end == pytest.approx(reference.end, rel=1e-12, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), st.floats(0.0, 0.5), st.integers(0, 10**6))
def test_pipelines_of_random_durations_agree(stages: int, rounds: int, chunks: int, send: float, seed: int) -> None:
    """Uneven stages, any schedule: start and end of every task agree to 1e-12."""
    draw = random.Random(seed)
    chunks = chunks if stages > 1 else 1
    passes = [(draw.uniform(0.1, 2.0), draw.uniform(0.1, 4.0)) for _ in range(stages)]
    _same(build(pipeline(passes, rounds * stages, chunks, send)))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 10**6))
def test_a_record_of_known_shape_only_fills_durations(stages: int, rounds: int, detail: bool, seed: int) -> None:
    """Two records of one shape: the program of the second is that which its own tasks, emitted anew, would be."""
    draw = random.Random(seed)
    first, second = (
        pipeline([(draw.uniform(0.1, 2.0), draw.uniform(0.1, 4.0)) for _ in range(stages)], rounds, 1, 0.1)
        for _ in range(2)
    )
    build(first, detail=detail)
    known, anew = build(second, detail=detail), Builder(second, detail=detail).build().filled(second, detail=detail)
    assert (known.seconds, known.after, known.track) == (anew.seconds, anew.after, anew.track)
    assert max(recursion.run(known).end) == pytest.approx(simulate_step(second, trace=True).time_s, rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
@example(5171)  # messages under way where a collective waits for the kernels of another stage
@example(4451)  # a later message of a link whose next one waits for a kernel that runs
def test_random_programs_with_contention_agree(seed: int) -> None:
    """Kernels slowed by collectives, and collectives that share links: the two engines still agree."""
    _same(_random_program(random.Random(seed)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
@example(5171)  # messages under way where a collective waits for the kernels of another stage
@example(4451)  # a later message of a link whose next one waits for a kernel that runs
def test_random_programs_end_when_a_plain_clock_says(seed: int) -> None:
    """A clock that moves from one start or end to the next and sets every rate anew, with nothing left out."""
    program = _random_program(random.Random(seed))
    assert recursion.run(program).end == pytest.approx(_clocked(program), rel=1e-12)


def _clocked(program: Program) -> list[float]:
    end: dict[int, float] = {}
    left = dict(enumerate(program.seconds))
    head = [0] * len(program.tracks)
    running: dict[int, int] = {}  # track → task
    now = 0.0
    while len(end) < len(program):
        for track, queue in enumerate(program.queues):
            if (
                track not in running
                and head[track] < len(queue)
                and all(j in end for j in program.after[queue[head[track]]])
            ):
                running[track] = queue[head[track]]
        rates = {}
        for track in running:
            domain = program.tracks[track].domain
            beside = {t: k for t, k in running.items() if program.tracks[t].domain == domain}
            rates[track] = dict(zip(beside, rates_of(program, beside), strict=True))[track]
        step = min(left[task] / rates[track] for track, task in running.items())
        now += step
        for track, task in list(running.items()):
            left[task] -= step * rates[track]
            if left[task] <= 1e-13:
                end[task] = now
                head[track] += 1
                del running[track]
    return [end[task] for task in range(len(program))]


def _random_program(draw: random.Random) -> Program:
    program = Program()
    for domain in range(draw.randint(1, 3)):
        program.add_track(Track(f"{domain}/compute", "compute", domain))
        program.add_track(Track(f"{domain}/data", "stream", domain, "data", 1, True))
        program.add_track(Track(f"{domain}/expert", "stream", domain, "expert", draw.choice([1, 2]), False))
        program.add_track(Track(f"{domain}/out", "link", domain, "out", draw.choice([-1, 1, 2])))
    for task in range(draw.randint(1, 60)):
        after = tuple({draw.randrange(task) for _ in range(draw.randint(0, 2))}) if task else ()
        track = draw.randrange(len(program.tracks))
        kernels = [j for j in range(task) if program.track[j] == track - 3]
        if program.tracks[track].kind == "link" and kernels and draw.random() < 0.8:
            after = (draw.choice(kernels),)  # a message of a kernel on its own device
        program.add(track, "task", draw.uniform(0.01, 1.0), after, draw.choice([1.0, 1.2, 2.0]))
    return program


def test_a_kernel_beside_a_collective_takes_longer_by_its_stretch() -> None:
    """2 s of kernel beside a collective for 1 s, stretched 2×: half a second of work done, 1.5 s left, end at 2.5 s."""
    program = Program()
    compute = program.add_track(Track("compute", "compute", 0))
    stream = program.add_track(Track("data", "stream", 0, "data", 0, True))
    program.add(compute, "kernel", 2.0, (), 2.0)
    program.add(stream, "reduce", 1.0)
    for engine in (recursion, streams):
        assert engine.run(program).end == pytest.approx([2.5, 1.0])


def test_two_collectives_on_links_of_one_level_slow_each_other_alike() -> None:
    """Jobs of 1 s and 2 s on shared links: both at half speed until 2 s, the longer alone until 3 s."""
    program = Program()
    for name in ("data", "expert"):
        program.add_track(Track(name, "stream", 0, name, 1))
    program.add(0, "short", 1.0)
    program.add(1, "long", 2.0)
    for engine in (recursion, streams):
        assert engine.run(program).end == pytest.approx([2.0, 3.0])
