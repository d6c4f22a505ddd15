"""Scaling domains: scenarios/scaling/*.yaml or a file of one's own."""

from __future__ import annotations

from sim.files import library
from sim.files.fields import read
from sim.files.merge import Resolver
from sim.scaling import Domain


def load_domain(name: str) -> Domain:
    """The domain of that name in the library or in that file, with what it extends."""
    path = library.find("scaling", name)
    resolver = Resolver()
    at = ("scaling",)
    return read(Domain, resolver.extended(resolver.file(path, at), at, (library.real(path),)), "scaling")
