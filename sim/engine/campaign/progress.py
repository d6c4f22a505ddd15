"""How far a training gets in a stretch without failures: steps, and the pauses that come at multiples of steps.

From step a to step b of a phase, with pauses of s_k seconds after every e_k steps,

    wall(a, b) = (b - a)·step + Σ_k s_k·(⌊b/e_k⌋ - ⌊a/e_k⌋)                                    [s]

so a campaign needs no event per step or checkpoint: only where a failure or a planned stop cuts the stretch.
"""

from __future__ import annotations

from math import ceil, floor

Pauses = tuple[tuple[float, float], ...]  # (every so many steps, seconds)


class Pace:
    """Steps of `step_s` with their pauses."""

    __slots__ = ("held", "pauses", "slope", "step_s")

    def __init__(self, step_s: float, pauses: Pauses) -> None:
        self.step_s, self.pauses = step_s, pauses
        self.slope, self.held = step_s, 0.0  # seconds per step in the long run; one of each pause
        for every, pause_s in pauses:
            self.slope += pause_s / every
            self.held += pause_s

    def wall(self, a: float, b: float) -> float:
        """Seconds from the moment step `a` is done, pauses included, to the moment step `b` is."""
        seconds = (b - a) * self.step_s
        for every, pause_s in self.pauses:
            seconds += (b // every - a // every) * pause_s
        return seconds

    def last_multiple(self, a: float, seconds: float, every: float) -> float:
        """The largest multiple of `every` that is done `seconds` after `a`; at most `a` where none is new."""
        slope, held = self.slope, self.held
        b = floor((a + (seconds / slope if seconds > 0.0 else 0.0)) / every) * every
        if held < seconds - (b - a) * slope < every * slope - held:
            return b  # pauses come at most one early or late: nothing to count
        while b > a and self.wall(a, b) > seconds:
            b -= every
        while self.wall(a, b + every) <= seconds:
            b += every
        return b

    def next_step(self, a: float, seconds: float) -> float:
        """The first whole step that is done no earlier than `seconds` after `a`."""
        low, high = a, a + max(1.0, ceil(seconds / self.step_s))
        while high - low > 1.0:
            middle = floor((low + high) / 2.0)
            if self.wall(a, middle) < seconds:
                low = middle
            else:
                high = middle
        return high
