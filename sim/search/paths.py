"""When a program ends, on columns of durations: the greatest of few sums.

A task ends when the longest chain of tasks that wait for each other up to it has run. Every duration is a sum of parts
(a block's kernels, a message), so that a chain counts how often each part runs in it. Of two chains to a task the one
that takes no longer whatever the parts take, within the least and the most of them over the designs, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.engine.program import Program

Floats = NDArray[np.float64]
Chosen = NDArray[np.intp]
MOST: Final = 16  # chains kept to a task
MARGIN: Final = 1.5  # parts may take so much more or less, so that the next designs find the same chains
TOGETHER: Final = 8192  # designs whose sums are held at once: they stay in the cache
LEAST: Final = 4096  # designs: of fewer, following chains takes longer than all tasks
TRIES: Final = 8  # times chains are followed for one program
HALVED: Final = 2  # times designs that leave too many chains are halved


class Paths:
    """The chains of a program; `counts`: by task how often each part runs in it."""

    def __init__(self, program: Program, counts: Sequence[Floats]) -> None:
        self.program, self.counts = program, counts
        self.usual: Floats = np.sum(counts, axis=0)  # what a part is measured by: all of them once
        self.tries = TRIES
        self._known: list[tuple[Floats, Floats, Floats]] = []

    def end(self, parts: Sequence[Any], otherwise: Callable[[Chosen], Floats]) -> Floats:
        """When the last task ends, by design; `parts`: seconds of each, a number or a column; `otherwise`: the same of
        chosen designs, task by task, where chains do not pay."""
        count = max(map(np.size, parts))
        if count < LEAST:
            return otherwise(np.arange(count))
        seconds = np.stack([np.broadcast_to(np.asarray(column, dtype=float), count) for column in parts])
        last = np.empty(count)
        for low in range(0, count, TOGETHER):
            self._end(seconds, np.arange(low, min(low + TOGETHER, count)), last, otherwise, HALVED)
        return last

    def _end(
        self, every: Floats, chosen: Chosen, last: Floats, otherwise: Callable[[Chosen], Floats], halved: int
    ) -> None:
        """Of chosen designs, into `last`."""
        seconds = every[:, chosen]
        relative = seconds / np.einsum("p,pn", self.usual, seconds)  # not @, which starts threads for it
        least, most = relative.min(axis=1), relative.max(axis=1)
        chains = self._chains(least, most)
        if chains is not None:
            last[chosen] = np.einsum("cp,pn->cn", chains, seconds).max(axis=0)
        elif halved and self.tries:
            widest = int(np.argmax(np.divide(most, least, out=np.ones_like(most), where=least > 0.0)))
            for half in np.array_split(chosen[np.argsort(relative[widest])], 2):
                self._end(every, half, last, otherwise, halved - 1)
        else:
            last[chosen] = otherwise(chosen)

    def _chains(self, least: Floats, most: Floats) -> Floats | None:
        """The longest chains where parts take from `least` to `most`; None if they are too many."""
        for low, high, chains in self._known:
            if (low <= least).all() and (most <= high).all():
                return chains
        for margin in (MARGIN, 1.0):
            if self.tries:
                self.tries -= 1
                low, high = least / margin, most * margin
                found = self._followed(low, high)
                if found is not None:
                    self._known.append((low, high, found))
                    return found
        return None

    def _followed(self, least: Floats, most: Floats) -> Floats | None:
        """Chains from task to task."""
        last: dict[int, Floats] = {}  # by track
        chains: list[Floats] = []
        program, none = self.program, np.zeros((1, len(least)))
        for track, after, counts in zip(program.track, program.after, self.counts, strict=True):
            before = [chains[j] for j in after] + ([last[track]] if track in last else [])
            longest = _longest(before, least, most) if before else none
            if len(longest) > MOST:
                return None
            last[track] = longest + counts
            chains.append(last[track])
        return _longest(list(last.values()), least, most)


def _longest(chains: Sequence[Floats], least: Floats, most: Floats) -> Floats:
    """Without those that another one of them always outlasts; of equal ones the first."""
    if len(chains) == 1:
        return chains[0]
    every = np.concatenate(chains)
    more = every[:, None, :] - every
    shorter = np.maximum(more * least, more * most).sum(axis=2) <= 0.0  # row than column
    np.fill_diagonal(shorter, False)
    return np.asarray(every[~(shorter & ~np.triu(shorter.T)).any(axis=1)])
