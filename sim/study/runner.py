"""Many designs through any `concurrent.futures.Executor`, streaming into the file of the study.

A task names a scenario and some designs by number; a worker needs nothing else, so that a process, a Dask worker and a
batch job run the same function. Results are written as chunks finish, in any order; the content is the same in any.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import reduce
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from sim.errors import ForetrainError, InfeasibleError, InputError, Problem, UnreachableError
from sim.files import load_document, load_scenario, scenario_of
from sim.files.scenario import resolved
from sim.records import dataclass
from sim.scenario import Scenario
from sim.simulation import simulate
from sim.simulation.properties import PROPERTIES, turned
from sim.simulation.steps import Steps
from sim.study.designs import Designs
from sim.study.metrics import METRICS, values
from sim.study.store import KEY_BYTES, Outcome, Store
from sim.version import __version__

CHUNK: Final = 32  # designs a task holds: a lost task costs a second, a task's way costs nothing beside it
IN_FLIGHT: Final = 4  # tasks waiting per worker: no worker waits for the writer, and memory does not grow
MOST_RESTARTS: Final = 100

SCREENED_CHUNK: Final = 16_384  # designs screened together: columns that stay in the cache

Rows: TypeAlias = "list[Outcome]"
Task: TypeAlias = "Callable[[Study, tuple[int, ...]], Rows]"
Progress: TypeAlias = Callable[[int, int], None]  # (finished designs, all designs)
Executors: TypeAlias = Callable[[], AbstractContextManager[Executor]]


@dataclass(frozen=True, slots=True)
class Study:
    """A base scenario, its overrides, the designs laid over it, and the seed of every simulation.

    `screened`: the designs differ in hardware properties alone and are answered in columns (`sim.study.screening`);
    `bands`: those of time, energy and cost are drawn too."""

    scenario: str | Scenario
    sets: tuple[str, ...]
    designs: Designs
    seed: int = 0
    screened: bool = False
    bands: bool = False

    def base(self) -> Scenario | None:
        """What all designs share, where they differ in hardware properties alone and it can be read."""
        if any(axis.path not in PROPERTIES for axis in self.designs.axes):
            return None
        try:
            return scenario_of(self.scenario, self.sets)
        except ForetrainError:
            return None  # every design says why

    def design(self, number: int, base: Scenario | None = None) -> Scenario:
        """The scenario of a design: fields first, then the properties of its hardware; `base`: read already."""
        fields, properties = self._stated(number)
        if base is not None:
            made = base
        elif isinstance(self.scenario, Scenario):
            made = reduce(lambda s, item: s.with_(*item), fields.items(), scenario_of(self.scenario, self.sets))
        else:
            made = load_scenario(self.scenario, self.overrides(number))
        return reduce(lambda s, item: turned(s, *item), properties.items(), made)

    def _stated(self, number: int) -> tuple[dict[str, object], dict[str, object]]:
        """Fields of the scenario and properties of its hardware that a design gives."""
        given = self.designs.overrides(number)
        properties = {name: given.pop(name) for name in list(given) if name in PROPERTIES}
        return given, properties

    def overrides(self, number: int) -> tuple[str, ...]:
        """Fields that a design lays over the base scenario, as `--set` reads them."""
        return (*self.sets, *(assignment(*item) for item in self._stated(number)[0].items()))

    @property
    def identity(self) -> dict[str, object]:
        """What a study file must agree on: the resolved base, the axes, the seed, the release."""
        base = scenario_of(self.scenario, self.sets)
        start = {"start": [list(design) for design in self.designs.start]} if self.designs.start else {}
        axes = {axis.path: axis.stated for axis in self.designs.axes}
        return {
            "scenario": _key(repr(base), self.seed).hex(),
            "axes": axes,
            "combination": self.designs.combination,
            "samples": self.designs.samples,
            "designs": len(self.designs),
            "sample_seed": self.designs.seed,
            "screened": self.screened,
            "bands": self.bands,
            "release": __version__,
            **start,
            **self._budget,
        }

    @property
    def _budget(self) -> dict[str, object]:
        """The resolved base where its chip is bought with a budget: a report makes the chip of a design from it."""
        if isinstance(self.scenario, Scenario):
            return {}
        document = load_document(self.scenario, self.sets)
        bought = document.node.at("cluster", "accelerator", "budget") is not None
        return {"bought": resolved(document)} if bought else {}


def _key(scenario: str, seed: int) -> bytes:
    return blake2b(f"{seed} {scenario}".encode(), digest_size=KEY_BYTES).digest()


def assignment(path: str, value: object) -> str:
    """A design's value as `--set` reads it."""
    return f"{path}={value if isinstance(value, str) else json.dumps(value)}"


def evaluate(study: Study, numbers: tuple[int, ...]) -> list[Outcome]:
    """Simulate some designs; one that cannot be built, does not fit or cannot reach its target keeps its reason."""
    base = study.base()
    shared = {id(part): repr(part) for part in _parts(base)} if base else {}
    steps = Steps()
    return [_outcome(study, number, base, shared, steps) for number in numbers]


def _parts(scenario: Scenario) -> list[object]:
    return [getattr(scenario, field.name) for field in fields(Scenario)]


def text_of(scenario: Scenario, shared: Mapping[int, str]) -> str:
    """`repr(scenario)`; `shared`: id of a part that lives on → its repr."""
    parts = zip(fields(Scenario), _parts(scenario), strict=True)
    return f"Scenario({', '.join(f'{f.name}={shared.get(id(part)) or repr(part)}' for f, part in parts)})"


def _outcome(study: Study, number: int, base: Scenario | None, shared: Mapping[int, str], steps: Steps) -> Outcome:
    key = b""
    try:
        scenario = study.design(number, base)
        key = _key(text_of(scenario, shared), study.seed)
        result = simulate(scenario, levers=False, bands=study.bands, seed=study.seed, steps=steps)
        return Outcome(number, key, values(result))
    except Exception as error:  # whatever it is, the other designs are worth their answer
        return Outcome(number, key, (None,) * len(METRICS), *_failure(error))


def _failure(error: Exception) -> tuple[str, int]:
    """(reason, exit code)."""
    if isinstance(error, InputError):
        return "; ".join(str(Problem(p.rule, p.path, p.value if p.path else "")) for p in error.problems), 2
    if isinstance(error, InfeasibleError):
        return f"does not fit: {error.reason.statement}", 3
    if isinstance(error, UnreachableError):
        return f"unreachable: {error.reason.statement}", 4
    return f"bug: {type(error).__name__}: {error}", 1


def run(
    study: Study,
    file: Path,
    executors: Executors,
    workers: int,
    shard: tuple[int, int] = (0, 1),
    progress: Progress = lambda finished, total: None,
) -> None:
    """Simulate every design of the study that `file` does not hold yet; `shard` (i, n): those ≡ i mod n."""
    place, parts = shard
    total = len(range(place, len(study.designs), parts))
    if study.screened:
        screen(study, (0,))  # what cannot be screened is told before anything is
    with Store(file, study.identity, list(METRICS)) as store:
        known = store.done()
        finished = sum(1 for number in known if number % parts == place)
        progress(finished, total)
        left = (n for n in range(place, len(study.designs), parts) if n not in known)
        task, size = (screen, SCREENED_CHUNK) if study.screened else (evaluate, CHUNK if workers > 1 else 1)
        for rows in _streamed(study, task, _chunks(left, size), executors, workers):
            store.add(rows)
            finished += len(rows)
            progress(finished, total)


def screen(study: Study, numbers: tuple[int, ...]) -> Rows:
    """Answer some designs in columns."""
    from sim.study.screening import rows  # noqa: PLC0415  (numpy, and the search: only where designs are screened)

    return rows(study.scenario, study.sets, study.designs, study.seed, numbers)


def _chunks(numbers: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    numbers = iter(numbers)
    while chunk := tuple(islice(numbers, size)):
        yield chunk


def _streamed(
    study: Study, task: Task, waiting: Iterator[tuple[int, ...]], executors: Executors, workers: int
) -> Iterator[Rows]:
    """Outcomes as they finish; when workers die their chunks are handed to new ones."""
    again: list[tuple[int, ...]] = []
    most = IN_FLIGHT * workers if workers > 1 else 1
    for _ in range(MOST_RESTARTS):
        tasks: dict[Future[Rows], tuple[int, ...]] = {}
        with executors() as executor:
            try:
                while True:
                    while len(tasks) < most and (again or (chunk := next(waiting, ()))):
                        again = again or [chunk]
                        tasks[executor.submit(task, study, again[-1])] = again[-1]
                        again.pop()
                    if not tasks:
                        return
                    for future in wait(tasks, return_when=FIRST_COMPLETED).done:
                        rows = future.result()
                        del tasks[future]
                        yield rows
            except BrokenExecutor:
                again += tasks.values()
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                raise
    raise BrokenExecutor("workers keep dying")
