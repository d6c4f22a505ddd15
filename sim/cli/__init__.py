"""The command line: `main` is the console entry; commands are imported when they are used."""

from sim.cli.main import main

__all__ = ["main"]
