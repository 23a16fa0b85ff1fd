"""What each process of the service does to itself: its garbage collector, and that it ends with its parent."""

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def spare_garbage_collector() -> None:
    """Leave out of every collection what is there for good: modules, sites and keys; collect more rarely.

    Else each of many collections a second looks through all of it (docs/performance.md, What was tried).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def end_with_parent() -> None:
    """Have this worker killed when the process that started it ends, however it ends; on Linux.

    A worker left behind would keep the port, and serve what nobody can stop by stopping the service.
    """
    parent = multiprocessing.parent_process()
    if not parent or sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        logging.getLogger(__name__).warning("a worker may outlive its parent: %s", os.strerror(ctypes.get_errno()))
    # It may have ended before the line above; then nothing will tell.
    if os.getppid() != parent.pid:
        raise SystemExit("the process that started this worker has ended")
