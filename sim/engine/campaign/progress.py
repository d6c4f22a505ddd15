"""How far a training gets in a stretch without failures: steps, and the pauses that come at multiples of steps.

From step a to step b of a phase, with pauses of s_k seconds after every e_k steps,

    wall(a, b) = (b - a)·step + Σ_k s_k·(⌊b/e_k⌋ - ⌊a/e_k⌋)                                    [s]

so a campaign needs no event per step or checkpoint: only where a failure or a planned stop cuts the stretch.
"""

from __future__ import annotations

from math import ceil, floor

Pauses = tuple[tuple[float, float], ...]  # (every so many steps, seconds)


def wall(step_s: float, pauses: Pauses, a: float, b: float) -> float:
    """Seconds from the moment step `a` is done, pauses included, to the moment step `b` is."""
    seconds = (b - a) * step_s
    for every, pause_s in pauses:
        seconds += (b // every - a // every) * pause_s
    return seconds


def last_multiple(step_s: float, pauses: Pauses, a: float, seconds: float, every: float) -> float:
    """The largest multiple of `every` that is done `seconds` after `a`; at most `a` where none is new."""
    slope, held = step_s, 0.0
    for e, pause_s in pauses:
        slope += pause_s / e
        held += pause_s
    b = floor((a + max(seconds, 0.0) / slope) / every) * every
    if held < seconds - (b - a) * slope < every * slope - held:
        return b  # pauses come at most one early or late: nothing to count
    while b > a and wall(step_s, pauses, a, b) > seconds:
        b -= every
    while wall(step_s, pauses, a, b + every) <= seconds:
        b += every
    return b


def next_step(step_s: float, pauses: Pauses, a: float, seconds: float) -> float:
    """The first whole step that is done no earlier than `seconds` after `a`."""
    low, high = a, a + max(1.0, ceil(seconds / step_s))
    while high - low > 1.0:
        middle = floor((low + high) / 2.0)
        if wall(step_s, pauses, a, middle) < seconds:
            low = middle
        else:
            high = middle
    return high
