"""`foretrain app`: designs in the browser, answered as sliders move."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli import options
from sim.cli.terminal import say
from sim.errors import InputError, Problem
from sim.files import build, load_document
from sim.files.library import names, within

FIRST = "today/llama2-70b"


@options.command()
@click.argument("scenario", required=False, shell_complete=options.scenarios)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to answer on; others may then look in.")
@click.option("--port", type=click.IntRange(1, 65535), default=8050, show_default=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The only folder whose files are read, beside the library.  [default: that of SCENARIO, else the current one]",
)
@options.quiet_option
@options.debug_option
def command(scenario: str | None, host: str, port: int, folder: Path | None, quiet: bool) -> None:
    """Explore SCENARIO in the browser: sliders for the hardware, two designs side by side, a link to share.

    Answers come at once and are confirmed by SimPy. Nothing is written, and no file is read outside the folder.
    """
    named = scenario or FIRST
    path = Path(named)
    own = named not in names("scenarios") and path.is_file()
    chosen = (folder or (path.parent if own else Path())).resolve()
    if not chosen.is_dir():
        raise InputError(Problem("is no folder", "--folder", str(folder)))
    file = path.resolve()
    first = named if not own else str(file.relative_to(chosen) if file.is_relative_to(chosen) else file)
    with within(chosen):
        build(load_document(first))
    try:
        from sim.app.server import create, listening  # noqa: PLC0415  (extra `app`)
    except ImportError as error:
        hint = "pip install 'foretrain[app]'"
        raise InputError(Problem(f"needs the package {error.name}", "foretrain app", hint=hint)) from None
    with listening(create(chosen, first), host, port) as server:
        if not quiet:
            say(f"http://{host}:{port} shows {named}; files are read from {chosen} only; Ctrl-C ends it")
        server.serve_forever()
