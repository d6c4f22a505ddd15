"""What runs come out at: every scenario once, however many rows and sets ask for it, here or in other processes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from typing import Final

from sim.validation.runs import outcome_of_text
from sim.validation.validation import Outcome

SHARE: Final = 128  # scenarios another process pays from: it starts in the time of about 60


class Outcomes:
    """Outcomes by the text of the scenario.

    An executor begins with the last of `texts`; what it has not begun when it is asked for is simulated here, so that
    neither side waits for the other until they meet.
    """

    def __init__(self, executor: Executor | None = None, texts: Collection[str] = ()) -> None:
        self._begun: dict[str, Future[Outcome | str]] = {}
        self._known: dict[str, Outcome | str] = {}
        if executor is not None:
            with suppress(BrokenExecutor):  # what dies before all are handed out leaves the rest to this process
                for text in reversed(dict.fromkeys(texts)):
                    self._begun[text] = executor.submit(outcome_of_text, text)

    def of(self, text: str) -> Outcome | str:
        """The outcome of a scenario; a text says why there is none. What died with a worker is simulated here."""
        if text not in self._known:
            begun = self._begun.pop(text, None)
            try:
                self._known[text] = outcome_of_text(text) if begun is None or begun.cancel() else begun.result()
            except BrokenExecutor:
                self._known[text] = outcome_of_text(text)
        return self._known[text]


@contextmanager
def outcomes(texts: Collection[str], jobs: int | None) -> Iterator[Outcomes]:
    """Outcomes of these scenarios by `jobs` processes, this one among them (none given: as many as cores where they
    pay)."""
    workers = (jobs or min(os.cpu_count() or 1, len(set(texts)) // SHARE)) - 1
    if workers < 1:
        yield Outcomes()
        return
    from sim.study.executors import processes  # noqa: PLC0415  (start-up time: only where there are processes)

    with processes(workers) as executor:
        try:
            yield Outcomes(executor, texts)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
