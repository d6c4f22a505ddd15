"""Where the designs of a study run: in this process, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from sim.errors import InputError, Problem
from sim.study.runner import CHUNK, SCREENED_CHUNK, Executors

P = ParamSpec("P")
T = TypeVar("T")

DASK_TIMEOUT_S = 10.0


class Here(Executor):
    """Runs every task at once in this process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The finished task."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # handed to whoever asks for the result, as executors do
            future.set_exception(error)
        return future


class Cluster(Executor):
    """Dask's executor as those of this machine are: a task `lost` with its workers breaks it, so that it is handed out
    anew (Dask gives a task up once four workers have died under it, whatever they died of)."""

    def __init__(self, inner: Executor, lost: type[BaseException]) -> None:
        self._inner, self._lost = inner, lost

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The task under way."""
        future: Future[T] = Future()

        def settle(done: Future[T]) -> None:
            error = CancelledError() if done.cancelled() else done.exception()
            if error is None:
                future.set_result(done.result())
            else:
                lost = isinstance(error, self._lost | CancelledError)
                future.set_exception(BrokenExecutor(str(error)) if lost else error)

        self._inner.submit(fn, *args, **kwargs).add_done_callback(settle)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Its tasks are cancelled unless they are waited for."""
        self._inner.shutdown(wait=wait and not cancel_futures)


def executors(
    designs: int, jobs: int | None = None, dask: str | None = None, screened: bool = False
) -> tuple[Executors, int]:
    """(how to get an executor, its workers): Dask where an address is given, processes where they pay."""
    if dask is not None:
        return partial(_dask, dask), 64
    workers = min(jobs or os.cpu_count() or 1, -(-designs // (SCREENED_CHUNK if screened else CHUNK)))
    return (Here, 1) if workers <= 1 else (partial(processes, workers), workers)


class _Processes(ProcessPoolExecutor):
    """Processes that end at once where their tasks are cancelled: what they had begun is begun again."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave; the pool hears of the cancelled before it hears of the dead."""
        begun = tuple((self._processes or {}).values()) if cancel_futures else ()
        super().shutdown(wait and not cancel_futures, cancel_futures=cancel_futures)
        for process in begun:
            process.terminate()


def processes(workers: int) -> ProcessPoolExecutor:
    """So many beside this one."""
    spawn = multiprocessing.get_context("spawn")
    return _Processes(workers, mp_context=spawn, initializer=_worker, initargs=gc.get_threshold())


def _worker(*threshold: int) -> None:
    """Ctrl-C is for the parent, which keeps what is finished and stops its workers; who is killed takes them along;
    what is imported stays, so that nobody has to look through it for what can go, and what is made is looked through
    as rarely as in the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.set_threshold(*threshold)
    gc.freeze()


def _end_with_parent() -> None:
    """A worker holds both ends of the queue it waits for: of a parent that is gone it would never hear."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        distributed: Any = importlib.import_module("distributed")  # extra `cluster`
    except ImportError:
        hint = "pip install 'foretrain[cluster]'"
        raise InputError(Problem("needs the package distributed", "--dask", address, hint=hint)) from None
    try:
        distributed.comm.get_address_host_port(address)  # a client of no address complains when it is collected, too
        client = distributed.Client(address, timeout=DASK_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        why = " ".join(str(error).split())[:120]
        raise InputError(Problem(f"nobody answers there: {why}", "--dask", address)) from None
    with client:
        yield Cluster(client.get_executor(pure=False), distributed.scheduler.KilledWorker)
