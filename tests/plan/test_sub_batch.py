"""The sub-batch rule of PPoPP 2019, section 5.2.1."""

from __future__ import annotations

import pytest

from sim.plan.sub_batch import choose_sub_batch


def word_lm(batch: int) -> float:
    """Seconds of a pass over `batch` sentences, fitted by hand to figure 11: 36.2 + max(0.898·b, 35.04)."""
    return 36.2 + max(0.898 * batch, 35.04)


def test_the_paper_s_word_lm_curve_gives_128():
    """36.2/b + 0.898 ≤ 1.32·0.898 needs b ≥ 126, rounded up to 128."""
    choice = choose_sub_batch(word_lm, lambda b: True, 0.32)
    assert choice is not None
    assert (choice.samples, choice.limit) == (128, "tolerance")
    assert choice.efficiency == pytest.approx(0.898 / (36.2 / 128 + 0.898), rel=1e-3)


def test_memory_cuts_the_choice_down():
    """With room for 100 samples the largest multiple of 32 that fits is 96; with room for 20 it is 16."""
    choices = [choose_sub_batch(word_lm, lambda b, cap=cap: b <= cap, 0.32) for cap in (100, 20)]
    assert [(c.samples, c.limit, c.largest_that_fits) for c in choices if c] == [
        (96, "memory", 100),
        (16, "memory", 20),
    ]


def test_nothing_fits():
    """Not even one sample: there is no sub-batch."""
    assert choose_sub_batch(word_lm, lambda b: False, 0.32) is None


def test_brute_force_agrees():
    """The bisection finds what trying every multiple of 32 finds, for several tolerances."""
    best = word_lm(2**20) / 2**20
    for tolerance in (0.05, 0.1, 0.2, 0.5, 0.9):
        brute = next(b for b in range(32, 2**20, 32) if word_lm(b) / b <= (1 + tolerance) * best)
        choice = choose_sub_batch(word_lm, lambda b: True, tolerance)
        assert choice is not None
        assert choice.samples == brute
