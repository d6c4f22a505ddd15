"""The command line: `main` is the console entry; commands are imported when they are used."""

from __future__ import annotations

import gc
import os
import sys

RARELY = (100_000, 20, 20)
"""Objects between collections of cycles: records and op graphs have none, and tracing them took a sixth of a `run`."""

TYPE_CHECKING = False  # nothing is imported before an interrupt is heeded
if TYPE_CHECKING:
    from collections.abc import Sequence
    from sys import UnraisableHookArgs


def _unraisable(lost: UnraisableHookArgs) -> None:
    """An interrupt that fell where Python cannot raise it (a callback, a destructor) ends the process all the same."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
    else:
        import signal  # noqa: PLC0415

        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 1e-3)  # raised anew, once this callback is over


def main(args: Sequence[str] | None = None) -> None:
    """Console entry: runs `foretrain ARGS…` and leaves with the exit code of what happened."""
    process = args is None
    sys.unraisablehook = _unraisable
    gc.set_threshold(*RARELY)
    try:
        if process:
            from sim.cli.later import later, parts_only  # noqa: PLC0415

            # threads of BLAS, which no matrix here is large enough for, spin as they start: 50 ms of CPU for each core
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            later("numpy")
            parts_only("simpy")
        from sim.cli.process import leave, run  # noqa: PLC0415  (an interrupt while this is read is one too)

        code = run(sys.argv[1:] if args is None else args)
        if process:
            leave()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


__all__ = ["main"]
