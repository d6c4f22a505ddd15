"""Files a command writes: never over an input, over nothing else without `--force`, and whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from sim.cli.terminal import printable, say
from sim.errors import InputError, Problem


class Output:
    """Writes the files of one command; `inputs` are the files it reads."""

    def __init__(self, force: bool = False, quiet: bool = False, inputs: Iterable[str | Path | None] = ()) -> None:
        self.force = force
        self.quiet = quiet
        self.inputs = [Path(name) for name in inputs if name is not None]

    def check(self, *paths: Path | None, folder: Path | None = None) -> None:
        """Refuse now what `write` would refuse later, so that no long run is lost to a file that exists; `folder` is
        one that will be made.
        """
        problems = [problem for path in paths if path is not None for problem in self._problems(path, folder)]
        if problems:
            raise InputError(*problems)

    def _problems(self, path: Path, made: Path | None) -> list[Problem]:
        if path.parent != made and not path.parent.is_dir():
            return [Problem("cannot be written: no such folder", file=str(path))]
        if any(_same(path, known) for known in self.inputs):
            return [Problem("is an input of this command and is never overwritten", file=str(path))]
        if not self.force and _regular(path):
            return [Problem("exists already", file=str(path), hint="--force overwrites it")]
        return []

    def write(self, path: Path, content: str | bytes) -> None:
        """Write `content` beside `path` and rename it there."""
        data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
        self.stream(path, [data])

    def stream(self, path: Path, pieces: Iterable[bytes]) -> None:
        """Write pieces as they come, beside `path`, and rename the whole there."""
        self.check(path)
        try:
            _replace(path, pieces)
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from None
        self.tell(f"wrote {path}")

    def folder(self, folder: Path, files: Mapping[str, str | bytes]) -> None:
        """Write a run folder; it is made if it is not there."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise InputError(Problem(f"cannot be made: {why}", file=str(folder))) from None
        self.check(*(folder / name for name in files), folder=folder)
        told, self.quiet = self.quiet, True
        for name, content in files.items():
            self.write(folder / name, content)
        self.quiet = told
        self.tell(f"wrote {folder}: {', '.join(files)}")

    def tell(self, message: str) -> None:
        """A line on stderr unless `--quiet`."""
        if not self.quiet:
            say(printable(message))


def _regular(path: Path) -> bool:
    """Whether a file, a folder or a link stands at `path`; devices and pipes are there to be written to."""
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and not _device(path))


def _device(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False


def _unwritable(path: Path, error: Exception) -> InputError:
    why = getattr(error, "strerror", None) or str(error)
    return InputError(Problem(f"cannot be written: {why.lower()}", file=str(path)))


def _replace(path: Path, pieces: Iterable[bytes]) -> None:
    """All `pieces` in a file beside `path`, then renamed; a device or a pipe is written to."""
    if _device(path):
        path.write_bytes(b"".join(pieces))
        return
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
