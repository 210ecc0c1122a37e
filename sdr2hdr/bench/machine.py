"""What is known of this machine: its processor, and the rate of a matrix multiply on it."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from threading import Thread

__all__ = [
    "library_thread_seconds",
    "matrix_multiply_gflops",
    "peak_rss_bytes",
    "processor_features",
    "processor_name",
    "thread_cpu_seconds",
]

_CPU_INFO = Path("/proc/cpuinfo")
_OWN_STATUS = Path("/proc/self/status")
_OWN_TASKS = Path("/proc/self/task")

_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve")
"""What decides how fast convolutions are, by the names of Linux."""

_MATRIX_SIDE = 2048
"""Large enough that a multiply is bound by arithmetic: 17 GFLOP, 16 MB a matrix in float32."""

_MULTIPLIES = 5


def processor_name() -> str:
    """The processor as it names itself."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def processor_features() -> list[str]:
    """Which of the instruction sets that matter here are there; empty where that is not told."""
    flags = (_cpu_info("flags") or _cpu_info("Features") or "").split()
    return [feature for feature in _FEATURES if feature in flags]


def peak_rss_bytes() -> int | None:
    """The most memory that this process ever had resident; None where that is not told.

    Linux counts into `ru_maxrss` what the process that started this one had, so there its status is
    read, which begins with the program.
    """
    if _OWN_STATUS.is_file():
        for line in _OWN_STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    # Kilobytes, but bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def thread_cpu_seconds(thread: Thread) -> float:
    """CPU seconds of a living thread of this process; 0 where that is not told."""
    if thread.ident is None or not hasattr(time, "pthread_getcpuclockid"):
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def library_thread_seconds(prefix: str) -> float:
    """CPU seconds of the living threads that libraries gave such names; 0 but on Linux."""
    total = 0.0
    for task in _OWN_TASKS.glob("*"):
        try:
            if not (task / "comm").read_text().startswith(prefix):
                continue
            # proc(5): after the name, which is in brackets, utime and stime are the 12th and 13th.
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # It has ended.
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def matrix_multiply_gflops(precision: str, device: str, threads: int | None) -> float:
    """The best rate of a large matrix multiply with all threads, in 1e9 operations a second.

    Args:
        precision: "fp32", "bf16" or "fp16".
        device: As torch names it.
        threads: On a CPU; None is torch's choice.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    side = _MATRIX_SIDE
    first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

    def finish() -> None:
        if first.is_cuda:
            torch.cuda.synchronize(first.device)

    torch.matmul(first, second)
    finish()
    best_seconds = float("inf")
    for _ in range(_MULTIPLIES):
        started = time.perf_counter()
        torch.matmul(first, second)
        finish()
        best_seconds = min(best_seconds, time.perf_counter() - started)
    return 2 * side**3 / best_seconds / 1e9


def _cpu_info(key: str) -> str | None:
    """The first value of a key of Linux's list of processors."""
    if not _CPU_INFO.is_file():
        return None
    for line in _CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
