"""Projections of scaling domains side by side with what their source prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sim.files.scaling import load_domain
from sim.scaling import Domain, Projection, project

PAPER: Final = ("word-lm", "char-lm", "nmt", "speech", "image")


@dataclass(frozen=True, slots=True)
class Projected:
    """One domain at its target."""

    domain: Domain
    projection: Projection


def project_domains(names: Sequence[str] = (), target: float | None = None) -> list[Projected]:
    """Each domain (library name or file; the paper's five when empty) at `target` or its own."""
    domains = [load_domain(name) for name in (names or PAPER)]
    return [Projected(domain, project(domain, target)) for domain in domains]
