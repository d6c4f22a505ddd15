"""Concurrent collectives: equal slowdown, conservation, few events."""

from __future__ import annotations

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.sharing import SharedLinks, fair_rates


def finish_times(jobs: list[tuple[float, float, dict[str, float]]]) -> list[float]:
    """Run (start, work, loads) jobs; when each is done."""
    env = simpy.Environment()
    links = SharedLinks(env)
    done = [0.0] * len(jobs)

    def job(i: int, start: float, work: float, loads: dict[str, float]):  # type: ignore[no-untyped-def]
        yield env.timeout(start)
        yield links.launch(work, loads)
        done[i] = env.now

    for i, (start, work, loads) in enumerate(jobs):
        env.process(job(i, start, work, loads))
    env.run()
    return done


def test_a_job_alone_takes_its_own_time() -> None:
    """Rate 1 whatever the load."""
    assert finish_times([(0.5, 2.0, {"nic": 0.3, "nvlink": 1.0})]) == [2.5]


def test_two_equal_jobs_take_twice_as_long() -> None:
    """Both full on one class: half rate each."""
    assert finish_times([(0.0, 1.0, {"nic": 1.0})] * 2) == pytest.approx([2.0, 2.0], rel=1e-12)


def test_jobs_on_other_links_do_not_meet() -> None:
    """No shared class, no slowdown."""
    assert finish_times([(0.0, 1.0, {"nic": 1.0}), (0.0, 1.5, {"nvlink": 1.0})]) == [1.0, 1.5]


def test_a_late_job_shares_what_is_left() -> None:
    """A(2 s) alone for 1 s, then shares: 1 s left at half rate → ends at 3; B(2 s) has 1 s left then → 4."""
    assert finish_times([(0.0, 2.0, {"n": 1.0}), (1.0, 2.0, {"n": 1.0})]) == pytest.approx([3.0, 4.0], rel=1e-12)


def test_slowdown_is_equal_and_not_by_bytes() -> None:
    """A job that keeps the NIC 1 % busy beside a NIC-bound job is slowed by 1/1.01, not to a NIC share."""
    nvlink_job = (("nic", 0.01), ("nvlink", 1.0))
    rates = fair_rates(((nvlink_job, 1), ((("nic", 1.0),), 1)))
    assert rates[nvlink_job] == pytest.approx(1 / 1.01, rel=1e-12)
    assert rates[(("nic", 1.0),)] == pytest.approx(1 / 1.01, rel=1e-12)


def test_no_work_is_done_at_once() -> None:
    """A collective of zero seconds fires without waiting."""
    assert finish_times([(1.0, 0.0, {"n": 1.0})]) == [1.0]


loads = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0.05, 1.0), min_size=1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(loads, st.integers(1, 3)), min_size=1, max_size=5))
def test_fair_rates_carry_a_certificate(jobs: list[tuple[dict[str, float], int]]) -> None:
    """No class above 1; every job is at 1 or has a full class on which its rate is the largest."""
    counts: dict[tuple[tuple[str, float], ...], int] = {}
    for load, n in jobs:
        signature = tuple(sorted(load.items()))
        counts[signature] = counts.get(signature, 0) + n
    rates = fair_rates(tuple(sorted(counts.items())))
    use = {c: sum(rates[s] * n * dict(s).get(c, 0.0) for s, n in counts.items()) for c in "abc"}
    assert all(value <= 1 + 1e-9 for value in use.values())
    for s, rate in rates.items():
        full = [c for c in dict(s) if use[c] >= 1 - 1e-9]
        largest = any(rate >= max(rates[o] for o in rates if c in dict(o)) * (1 - 1e-9) for c in full)
        assert rate == 1.0 or largest


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 2), st.sampled_from(["a", "b"])), min_size=1, max_size=12))
def test_work_is_conserved(jobs: list[tuple[float, float, str]]) -> None:
    """One class at full load is a processor-sharing queue: it empties when a work-conserving server would."""
    done = finish_times([(s, w, {c: 1.0}) for s, w, c in jobs])
    for c in "ab":
        mine = sorted((s, w) for s, w, k in jobs if k == c)
        clock = 0.0
        for start, work in mine:
            clock = max(clock, start) + work
        ends = [d for d, (_, _, k) in zip(done, jobs, strict=True) if k == c]
        if ends:
            assert max(ends) == pytest.approx(clock, rel=1e-9)
    assert all(d >= s + w * (1 - 1e-9) for d, (s, w, _) in zip(done, jobs, strict=True))


def test_hundred_thousand_jobs_are_cheap() -> None:
    """10⁵ collectives in a bounded number of events per job, in about a second of CPU."""
    env = simpy.Environment()
    links = SharedLinks(env)
    kinds = [{"nvlink": 1.0}, {"nvlink": 0.3, "nic": 1.0}, {"nic": 0.5}]

    def stream(k: int):  # type: ignore[no-untyped-def]
        for i in range(25_000):
            yield links.launch(1.0 + (i * 7 + k) % 5, kinds[(i + k) % 3])

    for k in range(4):
        env.process(stream(k))
    env.run()
    assert next(env._eid) <= 3.2e5
