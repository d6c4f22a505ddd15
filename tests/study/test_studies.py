"""Studies run, stopped, gone on with, shared out: the content of the file is the same in every case."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sim.axes import axis
from sim.engine import simulate_step
from sim.errors import InputError
from sim.simulation import stepping
from sim.study.designs import Designs
from sim.study.executors import Here, executors
from sim.study.explore import consistent, constraint, front
from sim.study.metrics import METRICS, metric
from sim.study.runner import CHUNK, Study, evaluate, run, text_of
from sim.study.store import Outcome, Store, facts, outcomes


@pytest.fixture
def study() -> Study:
    axes = (axis("plan.sub_batch", [1, 2, 4, -1]), axis("accelerator.memory.bandwidth", ["1 TB/s", "2 TB/s"]))
    return Study("paper/frontier-image", (), Designs(axes))


def content(file: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT results.*, text, code FROM results LEFT JOIN reasons ON reason = id ORDER BY number")
        return [(row[0], row[1], *row[3:]) for row in rows]


def test_a_wrong_design_is_a_row_with_its_reason(study: Study, tmp_path: Path) -> None:
    run(study, tmp_path / "s.db", Here, 1)
    found = list(outcomes(tmp_path / "s.db"))
    assert len(found) == 8
    assert [bool(o.reason) for o in found] == [False] * 6 + [True] * 2
    assert all("plan.sub_batch" in o.reason for o in found[6:])


def test_processes_and_shards_give_the_content_of_one_process(study: Study, tmp_path: Path) -> None:
    run(study, tmp_path / "one.db", Here, 1)
    way, workers = executors(CHUNK * 4, jobs=2)
    assert workers == 2
    run(study, tmp_path / "two.db", way, workers)
    for shard in range(3):
        run(study, tmp_path / "shards.db", Here, 1, (shard, 3))
    assert content(tmp_path / "one.db") == content(tmp_path / "two.db") == content(tmp_path / "shards.db")


def test_a_stopped_study_goes_on_without_doing_anything_twice(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.db"
    run(study, tmp_path / "whole.db", Here, 1)
    with Store(file, study.identity, list(METRICS)) as store:
        store.add(evaluate(study, (0, 3, 5)))
    ran: list[int] = []
    monkeypatch.setattr("sim.study.runner.evaluate", lambda s, n: ran.extend(n) or evaluate(s, n))
    run(study, file, Here, 1)
    assert sorted(ran) == [1, 2, 4, 6, 7]
    assert content(file) == content(tmp_path / "whole.db")


class Dying(Here):
    """An executor whose first workers die."""

    deaths = 3

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if Dying.deaths:
            Dying.deaths -= 1
            raise BrokenExecutor("a worker was killed")
        return super().submit(fn, *args, **kwargs)


def test_dead_workers_lose_and_double_nothing(study: Study, tmp_path: Path) -> None:
    Dying.deaths = 3
    run(study, tmp_path / "dying.db", Dying, 1)
    run(study, tmp_path / "one.db", Here, 1)
    assert Dying.deaths == 0
    assert content(tmp_path / "dying.db") == content(tmp_path / "one.db")


def test_a_file_of_another_study_or_no_study_is_refused(study: Study, tmp_path: Path) -> None:
    run(study, tmp_path / "s.db", Here, 1)
    other = Study(study.scenario, (), Designs((axis("plan.sub_batch", [1]),)))
    with pytest.raises(InputError, match="belongs to another study"):
        run(other, tmp_path / "s.db", Here, 1)
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(InputError, match="is not a study file"):
        run(study, tmp_path / "text.db", Here, 1)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("3", "of version 3, this foretrain reads 2"),
        ("0.0.1", "is not a study file"),
        (None, "is not a study file"),
    ],
)
def test_a_file_of_another_version_is_told(study: Study, tmp_path: Path, value: str | None, says: str) -> None:
    """Of one that is to come, of one that somebody wrote into: where it is gone on with, and where it is read."""
    file = tmp_path / "s.db"
    run(study, file, Here, 1)
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE study SET value = ? WHERE name = 'schema_version'", (value,))
        db.commit()
    for use in (lambda: run(study, file, Here, 1), lambda: list(outcomes(file))):
        with pytest.raises(InputError, match=says):
            use()


def test_two_processes_do_not_write_one_study_file(study: Study, tmp_path: Path) -> None:
    with (
        Store(tmp_path / "s.db", study.identity, list(METRICS)),
        pytest.raises(InputError, match="another process"),
    ):
        Store(tmp_path / "s.db", study.identity, list(METRICS))


def test_nothing_stands_beside_a_finished_study(study: Study, tmp_path: Path) -> None:
    """No log, no lock: after a run, after one that goes on, a refusal, reading; a name may hold anything."""
    file = tmp_path / "a study?#%20.db"
    for _ in range(2):
        run(study, file, Here, 1)
        assert facts(file)["designs"] == len(list(outcomes(file))) == 8
        assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(InputError, match="belongs to another study"):
        run(Study(study.scenario, (), Designs((axis("plan.sub_batch", [1]),))), file, Here, 1)
    file.write_text("no study")
    with pytest.raises(InputError, match="is not a study file"):
        run(study, file, Here, 1)
    assert list(tmp_path.iterdir()) == [file]


def test_a_study_file_has_one_writer_at_a_time(study: Study, tmp_path: Path) -> None:
    """Eight that come and go, each taking the lock file away: never two inside."""
    file, inside, most, turns = tmp_path / "s.db", [0], [0], [0]
    identity, refused = study.identity, set[str]()

    def writer() -> None:
        for _ in range(25):
            try:
                with Store(file, identity, list(METRICS)):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.0005)
                    turns[0] += 1
                    inside[0] -= 1
            except InputError as error:
                refused.add(str(error).rpartition(": ")[2])

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(writer) for _ in range(8)]:
            done.result()
    assert turns[0] > 1
    assert most[0] == 1
    assert refused <= {"is being written by another process"}
    assert list(tmp_path.iterdir()) == [file]


def test_a_half_written_chunk_is_not_there(study: Study, tmp_path: Path) -> None:
    def breaking() -> Iterator[Outcome]:
        yield Outcome(0, b"", (1.0,) * len(METRICS))
        raise KeyboardInterrupt

    with Store(tmp_path / "s.db", study.identity, list(METRICS)) as store:
        with pytest.raises(KeyboardInterrupt):
            store.add(breaking())
        assert store.done() == set()


def test_a_row_is_small(study: Study, tmp_path: Path) -> None:
    """At most 200 bytes a design, as a study of a million needs."""
    rows = 5_000
    with Store(tmp_path / "s.db", study.identity, list(METRICS)) as store:
        store.add(Outcome(i, bytes(12), tuple(i + k / 7 for k in range(len(METRICS)))) for i in range(rows))
    assert (tmp_path / "s.db").stat().st_size / rows <= 200
    assert facts(tmp_path / "s.db")["schema_version"] == 2


def point(number: int, time: float, energy: float | None) -> Outcome:
    figures = {"time_to_target_s": time, "energy_j": energy}
    return Outcome(number, b"", tuple(figures.get(name) for name in METRICS))


def test_the_front_holds_what_nothing_beats() -> None:
    found = [point(0, 1, 9), point(1, 2, 2), point(2, 3, 3), point(3, 9, 1), point(4, 1, 10), point(5, 0, None)]
    objectives = [metric("time_to_target_s"), metric("energy_j")]
    assert [o.number for o in front(found, objectives, [])] == [0, 1, 3]
    assert [o.number for o in front(found, objectives, [constraint("energy_j<=5")])] == [1, 3]


def test_constraints_that_contradict_are_named() -> None:
    with pytest.raises(InputError, match=r"time_to_target_s >= 86400 and time_to_target_s <= 3600"):
        consistent([constraint("time_to_target_s<=1 h"), constraint("time_to_target_s >= 1 days")])
    with pytest.raises(InputError, match="is no metric"):
        constraint("speed<=3")


def test_the_text_behind_a_key_is_the_scenario_whole(study: Study) -> None:
    """With parts that designs share and without; repr() is the oracle."""
    scenario = study.design(0)
    assert text_of(scenario, {}) == repr(scenario)
    assert text_of(scenario, {id(scenario.links): repr(scenario.links), id(scenario.plan): "X"}) == repr(
        scenario
    ).replace(f"plan={scenario.plan!r}", "plan=X")


def test_here_is_an_executor() -> None:
    assert isinstance(Here(), Executor)
    with pytest.raises(ZeroDivisionError):
        Here().submit(lambda: 1 / 0).result()


def test_designs_that_differ_in_what_no_step_reads_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step a plan and chip, whatever the target, the campaign and its prices; each answer is that of a run alone."""
    space = {
        "campaign.prices.electricity": ["0.05 USD/kWh", "0.10 USD/kWh"],
        "target.units": [1e11, 2e11],
        "plan.sub_batch": [1, 2],
        "campaign.startup": ["10 s", "1000 s"],
    }
    simulated: list[object] = []

    def counted(record: Any, **asked: Any) -> Any:
        simulated.append(record)
        return simulate_step(record, **asked)

    designs = Designs(tuple(axis(path, given) for path, given in space.items()))
    study = Study("today/gpt3-175b", (), designs)
    monkeypatch.setattr(stepping, "simulate_step", counted)
    together = evaluate(study, tuple(range(16)))
    assert len(simulated) == 2
    assert together == [evaluate(study, (number,))[0] for number in range(16)]
    assert len({outcome.metrics for outcome in together}) > 8
