"""Reach a Dask cluster, or start one of processes of this machine."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.resource_tracker import ensure_running
from threading import Thread
from typing import TYPE_CHECKING, Any

from sdr2hdr.cores import available_cores
from sdr2hdr.errors import BackendUnavailableError
from sdr2hdr.jobs.stopping import StopRequest
from sdr2hdr.options import JobOptions

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

__all__ = ["check_cluster", "cluster_client"]

CONNECT_SECONDS = 10
"""Long enough for a scheduler in another building, short enough to notice a wrong address."""

WORKER_MODULE = "sdr2hdr.jobs.cluster_worker"


def check_cluster(job: JobOptions, stop: StopRequest) -> None:
    """Refuse a cluster that cannot be reached, before a film is looked through for it.

    Args:
        job: Which scheduler, if any; processes of this machine are not started.
        stop: As for `cluster_client`.

    Raises:
        BackendUnavailableError: As `cluster_client`.
    """
    if job.workers is not None:
        _refuse_without_dask()
    elif job.cluster is not None:
        with cluster_client(job, None, stop):
            pass


@contextmanager
def cluster_client(job: JobOptions, threads: int | None, stop: StopRequest) -> Iterator[Client]:
    """Connect to a cluster, or start one of this machine's.

    Args:
        job: Which scheduler, or how many worker processes.
        threads: Of all processes of this machine; None shares out its cores.
        stop: Asked whether to end, where processes do not start.

    Raises:
        BackendUnavailableError: dask.distributed is not installed, no scheduler answers, or
            processes do not start.
        StoppedError: The user wants an end, of which local workers that start have died.
    """
    _refuse_without_dask()
    from distributed import Client

    class ClosingClient(Client):
        """Closes itself when it cannot start, because nobody else gets hold of it then.

        Left open, it waits at the program's end for a thread that is gone, and prints that.
        """

        def start(self, **kwargs: Any) -> None:
            try:
                super().start(**kwargs)
            except BaseException:
                self.close()
                raise

    if job.workers is None:
        try:
            client = ClosingClient(job.cluster, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BackendUnavailableError(
                f"No Dask scheduler answers at {job.cluster}; expected one (--cluster "
                "tcp://host:8786). `dask scheduler` starts it."
            ) from error
        with client:
            yield client
        return
    share = max(1, (threads or available_cores()) // job.workers)
    try:
        cluster = _local_cluster(job.workers, share)
    except (OSError, RuntimeError) as error:
        stop.check()
        raise BackendUnavailableError(
            f"The {job.workers} worker processes do not start ({_cause(error)}); expected room for "
            "them in memory and in the temporary folder, and of a program that calls `convert` "
            'that it does so under `if __name__ == "__main__":`. Leave out --workers to go on '
            "in one process."
        ) from error
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def _hear_no_signals() -> None:
    """Keep from this thread, and from what it starts, the signals that all of a command are sent.

    Worker processes inherit the mask and so have it from their first instruction on: Ctrl-C ended
    those that were still importing with a traceback. The command's own thread hears as before.
    Windows has no such mask; there `cluster_worker.dask_setup` alone helps, once it is called.
    """
    if sys.platform == "win32":
        return
    # Else it is started with the first worker, by the same thread, and Python 3.11 to 3.14 take the
    # mask from that thread again before the worker is started.
    ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def _local_cluster(workers: int, threads_per_worker: int) -> LocalCluster:
    """Start processes of this machine.

    Raises:
        OSError: There is no room for them; or RuntimeError, as Dask has it.
    """
    from distributed import LocalCluster

    starting: Future[LocalCluster] = Future()

    def start() -> None:
        _hear_no_signals()
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads_per_worker,
                processes=True,
                # The engine bounds its own memory; Dask would stop and kill workers by a share.
                memory_limit=0,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                # A worker that is lost is our listener's to tell.
                silence_logs=logging.CRITICAL,
                preload=[WORKER_MODULE],
            )
        except BaseException as error:
            starting.set_exception(error)
        else:
            starting.set_result(cluster)

    try:
        # A thread of its own: what is started there inherits its signal mask, processes too.
        Thread(target=start, name="cluster").start()
        return starting.result()
    except BaseException:
        # After a second signal nobody else gets hold of it.
        starting.add_done_callback(_close_started)
        raise


def _close_started(starting: Future[LocalCluster]) -> None:
    if starting.exception() is None:
        starting.result().close()


def _refuse_without_dask() -> None:
    try:
        import_module("distributed")
    except ImportError as error:
        raise BackendUnavailableError(
            "dask.distributed is not installed; expected it for --cluster and --workers. Install "
            "it with: pip install 'sdr2hdr[cluster]'"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """The innermost reason: Dask wraps it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
