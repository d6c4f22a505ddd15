"""Every exception foretrain raises on purpose, in one place.

    ForetrainError
    ├── InputError          wrong input: a list of `Problem`s, all found at once      exit 2
    ├── InfeasibleError     carries `Infeasible`: no plan fits, with levers             exit 3
    └── UnreachableError    carries `Unreachable`: the target lies below the floor      exit 4

Failure is data: `Infeasible` and `Unreachable` are frozen records that a study keeps as a row;
the exceptions only carry them to where a single answer was asked for.  Anything else that escapes is a bug.
"""

from __future__ import annotations

from sim.records import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input: where (file:line:column), which field, which rule, what was got, a hint."""

    rule: str
    path: str = ""
    value: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.line else (f"{self.file}: " if self.file else "")
        field = f"{self.path}: " if self.path else ""
        got = f", got {self.value}" if self.value else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{field}{self.rule}{got}{hint}"


@dataclass(frozen=True, slots=True)
class Lever:
    """One change that would help: the value `quantity` takes with it, and what else is to say of it."""

    change: str
    effect: float | None = None  # None: not computed
    quantity: str = ""  # step_time_s, memory_bytes …: the name and the unit of `effect`
    note: str = ""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A plan that does not fit: what, on which device, need and capacity in bytes, and what would make it fit."""

    statement: str
    device: str
    need_bytes: float
    have_bytes: float
    levers: tuple[Lever, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreachable:
    """What no amount of data or time reaches; target error and floor where a learning law says so."""

    statement: str
    target: float | None = None
    floor: float | None = None


class ForetrainError(Exception):
    """Base of every error a caller is meant to handle; made again from its arguments, as processes and SimPy do."""


class InputError(ForetrainError):
    """The input is wrong; `problems` holds everything found, in file order."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(*problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class InfeasibleError(ForetrainError):
    """Nothing fits; `reason` says why and names levers."""

    def __init__(self, reason: Infeasible) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason.statement


class UnreachableError(ForetrainError):
    """The target cannot be reached; `reason` says why, with target and floor where a learning law has them."""

    def __init__(self, reason: Unreachable) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason.statement
