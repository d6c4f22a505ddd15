"""Records are dataclasses: whatever the standard decorator gives, ours gives, only later."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from dataclasses import field
from inspect import signature
from typing import Any

import pytest

from sim.errors import Problem
from sim.records import dataclass


def kinds(decorate: Any) -> tuple[type, type]:
    """A base of plain, defaulted, made and uncompared fields, and a child with keywords and a field it sets itself."""

    @decorate(frozen=True, slots=True)
    class Base:
        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list, compare=False)
        d: float = field(default=1.0, repr=False)

    @decorate(frozen=True, slots=True)
    class Child(Base):
        e: int = field(default=5, kw_only=True)
        f: int = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "f", self.a + self.e)

    return Base, Child


def told(make: Any) -> object:
    """What it gives, or what it raises, in words."""
    try:
        return repr(make())
    except Exception as error:  # compared below, whatever it is
        return type(error).__name__, str(error).replace("kinds.<locals>.", "")


CASES: dict[str, Any] = {
    "positional": lambda base, child: (base(1, "x"), child(1, "x", [2], 3.0, e=4)),
    "keywords": lambda base, child: (base(b="x", a=1), child(a=1, e=2)),
    "a missing argument": lambda base, child: base(),
    "one too many": lambda base, child: base(1, "b", [], 1.0, 2),
    "a keyword given by place": lambda base, child: child(1, "b", [], 1.0, 2),
    "made anew each time": lambda base, child: base(1).c is base(1).c,
    "equal but for what is not compared": lambda base, child: (base(1, c=[1]) == base(1, c=[2]), base(1) == base(2)),
    "another class": lambda base, child: base(1) == child(1),
    "hash": lambda base, child: (hash(base(1, c=[1])) == hash((1, "b", 1.0)), hash(child(1)) == hash(child(1))),
    "replace": lambda base, child: (dataclasses.replace(base(1), a=2), dataclasses.replace(child(1), e=9).f),
    "fields": lambda base, child: [(f.name, f.init, f.kw_only) for f in dataclasses.fields(child)],
    "as a dictionary": lambda base, child: dataclasses.asdict(child(1)),
    "copies": lambda base, child: (copy.copy(child(1)), copy.deepcopy(child(1, c=[1]))),
    "setting": lambda base, child: setattr(base(1), "a", 2),
    "setting what is none": lambda base, child: isinstance(child(1), base) and hasattr(child(1), "__dict__"),
    "deleting": lambda base, child: delattr(base(1), "a"),
    "matching": lambda base, child: (base.__match_args__, child.__match_args__),
    "signature": lambda base, child: [
        (each.name, each.kind, repr(each.default), each.annotation) for each in signature(child).parameters.values()
    ],
    "names": lambda base, child: [(child(1) and child.__init__).__qualname__.rpartition("kinds.<locals>.")[2]],
}


@pytest.mark.parametrize("case", CASES)
def test_a_record_is_what_the_standard_library_makes(case: str) -> None:
    """Each use of the same two classes, once by either decorator."""
    ours, theirs = (told(lambda made=made: CASES[case](*kinds(made))) for made in (dataclass, dataclasses.dataclass))
    assert ours == theirs


def test_a_record_is_read_by_a_process_that_has_made_none() -> None:
    """Pickled here, where its methods are written, and read where they are not."""
    code = f"import pickle; print(pickle.loads({pickle.dumps(Problem('must be larger', 'plan.data', '0'))!r}).path)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "plan.data"


MOST_MODULES = 440


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import sys, sim.cli.process as p, sim.cli\n"
        "read = lambda: [n for n, m in sys.modules.items() if type(m).__name__ != '_Later']\n"
        "p.leave = lambda: print(*read(), file=sys.stderr)\n"
        f"sys.argv = {['foretrain', *arguments]!r}; sim.cli.main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stderr.split())


def test_check_imports_neither_numpy_nor_simpy() -> None:
    """They take as long as the rest of its start; `run` needs both."""
    assert not imported_by("check", "-q", "today/gpt3-175b") & {"numpy", "simpy.core", "scipy", "networkx", "email"}


def test_run_imports_of_simpy_its_loop_alone() -> None:
    """The package itself reads its version from its metadata, for which a mail parser is imported: 40 ms of CPU."""
    found = imported_by("run", "-q", "paper/word-lm")
    assert {"numpy", "simpy.core"} <= found
    assert not found & {"simpy", "importlib.metadata", "email", "numpy.ma", "scipy", "networkx", "rich", "plotly"}
    assert len([name for name in found if not name.startswith("numpy")]) <= MOST_MODULES


def test_a_package_read_in_parts_is_whole_once_it_is_used() -> None:
    """What was imported of it before is what it holds then."""
    code = (
        "from sim.cli.later import parts_only; parts_only('simpy')\n"
        "from simpy.events import Timeout\n"
        "import sys, simpy; before = 'importlib.metadata' in sys.modules\n"
        "print(before, simpy.Timeout is Timeout, simpy.events.Timeout is Timeout, simpy.__version__ != '')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False True True True"
