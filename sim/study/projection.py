"""Projections of scaling domains side by side with what their source prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.errors import ForetrainError
from sim.files.scaling import load_domain
from sim.records import dataclass
from sim.scaling import Domain, Projection, project

PAPER: Final = ("word-lm", "char-lm", "nmt", "speech", "image")


@dataclass(frozen=True, slots=True)
class Projected:
    """One domain at its target."""

    domain: Domain
    projection: Projection


def project_domains(
    names: Sequence[str] = (), target: float | None = None
) -> tuple[list[Projected], list[ForetrainError]]:
    """Each domain (library name or file; the paper's five when empty) at `target` or its own; why others have none."""
    found: list[Projected] = []
    failures: list[ForetrainError] = []
    for name in names or PAPER:
        try:
            domain = load_domain(name)
            found.append(Projected(domain, project(domain, target)))
        except ForetrainError as error:
            failures.append(error)
    return found, failures
