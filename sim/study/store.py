"""The file of a study: one SQLite database that results stream into, and that a study goes on from.

study     what must not change: schema version, hash of the resolved base scenario, axes, seed, release
reasons   every distinct sentence that says why a design has no result
results   a row per finished design: number, key (hash of its scenario and seed), reason, one REAL per metric

A transaction holds a chunk of designs: a process killed at any moment loses at most the chunk it was writing, and never
half a design. Write-ahead logging keeps readers and the writer apart.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sim.errors import InputError, Problem
from sim.records import dataclass

SCHEMA_VERSION: Final = 2
MAGIC: Final = b"SQLite format 3\0"
KEY_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished design: its metrics, or the reason why it has none."""

    number: int
    key: bytes
    metrics: tuple[float | None, ...]
    reason: str = ""
    code: int = 0  # exit code of a command that met the same


class Store:
    """One study file, open for writing by this process alone."""

    def __init__(self, path: Path, identity: Mapping[str, object], metrics: Sequence[str]) -> None:
        self.path = path
        self.metrics = tuple(metrics)
        self._reasons: dict[str, int] = {}
        self._lock = _locked(path)
        if not path.exists():  # deleted while somebody read it: the log left is no other file's, and SQLite fails on it
            for log in ("-wal", "-shm", "-journal"):
                path.with_name(path.name + log).unlink(missing_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
        except sqlite3.DatabaseError as error:
            _unlock(path, self._lock)
            raise InputError(Problem(f"cannot be opened: {error}", file=str(path))) from None
        try:
            self._open(identity)
        except sqlite3.DatabaseError as error:
            self.close()
            raise InputError(Problem(f"is not a study file: {error}", file=str(path))) from None
        except BaseException:
            self.close()
            raise

    def _open(self, identity: Mapping[str, object]) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        known = db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        if not known:
            columns = "".join(f', "{name}" REAL' for name in self.metrics)
            db.execute("BEGIN IMMEDIATE")
            db.execute("CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
            db.execute("CREATE TABLE reasons (id INTEGER PRIMARY KEY, text TEXT UNIQUE, code INTEGER)")
            db.execute(f"CREATE TABLE results (number INTEGER PRIMARY KEY, key BLOB, reason INTEGER{columns})")
            stated = {"schema_version": SCHEMA_VERSION, "metrics": list(self.metrics), **identity}
            db.executemany("INSERT INTO study VALUES (?, ?)", [(k, json.dumps(v)) for k, v in stated.items()])
            db.execute("COMMIT")
        else:
            self._compare({"schema_version": SCHEMA_VERSION, "metrics": list(self.metrics), **identity})
        self._reasons = {text: number for number, text in db.execute("SELECT id, text FROM reasons")}

    def _compare(self, identity: Mapping[str, object]) -> None:
        """The file must be of this study, made by this schema."""
        stated = facts(self.path)
        differing = [name for name, value in identity.items() if stated.get(name) != json.loads(json.dumps(value))]
        if differing:
            rule = f"belongs to another study: its {', '.join(differing)} differ{'s' if len(differing) == 1 else ''}"
            raise InputError(Problem(rule, file=str(self.path), hint="another -o FILE, or the study it was made with"))

    def done(self) -> set[int]:
        """Numbers of finished designs."""
        return {row[0] for row in self._db.execute("SELECT number FROM results")}

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Write finished designs in one transaction."""
        holes = ", ".join("?" * (3 + len(self.metrics)))
        self._db.execute("BEGIN IMMEDIATE")
        try:
            rows = [(o.number, o.key, self._reason(o.reason, o.code), *o.metrics) for o in outcomes]
            self._db.executemany(f"INSERT OR REPLACE INTO results VALUES ({holes})", rows)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _reason(self, text: str, code: int) -> int | None:
        if not text:
            return None
        if text not in self._reasons:
            self._reasons[text] = len(self._reasons) + 1
            self._db.execute("INSERT INTO reasons VALUES (?, ?, ?)", (self._reasons[text], text, code))
        return self._reasons[text]

    def close(self) -> None:
        """Fold the log into the file, so that nothing stands beside it, and let others have it."""
        with closing(self._db), suppress(sqlite3.DatabaseError):  # somebody reads: the next writer folds it
            self._db.execute("PRAGMA journal_mode=DELETE")
        _unlock(self.path, self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _locked(path: Path) -> int:
    """A descriptor that holds the study alone; the lock goes with the process, however it ends.

    Who ends takes the lock file away while holding it: a lock of a file that is gone by then holds nothing.
    """
    import fcntl  # noqa: PLC0415  (POSIX only; a study file is the only thing locked)

    while True:
        try:
            descriptor = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            rule = f"cannot be written: {(error.strerror or '').lower()}"
            raise InputError(Problem(rule, file=str(path))) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise InputError(Problem("is being written by another process", file=str(path))) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), _lock_file(path).stat()):
                return descriptor
        os.close(descriptor)


def _unlock(path: Path, descriptor: int) -> None:
    _lock_file(path).unlink(missing_ok=True)
    os.close(descriptor)


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _read(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise InputError(Problem("no such study file", file=str(path)))
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def begun(path: Path) -> bool:
    """Whether there is a study in the file: an interrupt may fall before its tables are made."""
    try:
        return bool(facts(path))
    except InputError:
        return False


def facts(path: Path) -> dict[str, object]:
    """What a study file says of its study."""
    try:
        with closing(_read(path)) as db:
            found = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM study")}
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise InputError(Problem(f"is not a study file: {error}", file=str(path))) from None
    if found.get("schema_version") != SCHEMA_VERSION:
        rule = f"is a study file of version {found.get('schema_version')}, this foretrain reads {SCHEMA_VERSION}"
        raise InputError(Problem(rule, file=str(path), hint="another -o FILE: its designs are simulated anew"))
    return found


def finished(path: Path) -> int:
    """How many designs are finished."""
    with closing(_read(path)) as db:
        return int(db.execute("SELECT count(*) FROM results").fetchone()[0])


def failures(path: Path) -> dict[str, int]:
    """Why designs have no result, each reason once, with its exit code."""
    with closing(_read(path)) as db:
        return dict(db.execute("SELECT text, code FROM reasons ORDER BY id"))


def outcomes(path: Path, order: str = "number", limit: int | None = None) -> Iterator[Outcome]:
    """Finished designs by number, or by a metric (those without it last), one at a time."""
    known = facts(path)["metrics"]
    if order != "number" and order not in (known if isinstance(known, list) else []):
        raise InputError(Problem("is no metric of this study", value=order, file=str(path), hint=str(known)))
    joined = "SELECT results.*, text, code FROM results LEFT JOIN reasons ON reason = id"
    query = f'{joined} ORDER BY "{order}" IS NULL, "{order}"'
    with closing(_read(path)) as db:
        for row in db.execute(query + ("" if limit is None else f" LIMIT {int(limit)}")):
            yield Outcome(row[0], row[1], tuple(row[3:-2]), row[-2] or "", row[-1] or 0)
