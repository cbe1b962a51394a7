"""CPU time of a process to the microsecond, and the share of it in user space by sampling.

/proc/PID/schedstat of a task that is running is as old as the last tick: 4 ms, 1 % of a window. A
perf event on task-clock, a software counter that needs neither a PMU nor privileges for a process
of one's own, is brought up to date by its reading. User time in /proc/PID/stat is the share of
the ticks (250 a second, of all the machine does) that hit user space, where the kernel does without
CONFIG_VIRT_CPU_ACCOUNTING_GEN; a perf event that samples task-clock is the same at 4000 a second.
"""

import ctypes
import mmap
import os
import platform
import struct
from pathlib import Path

PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
TYPE_SOFTWARE, TASK_CLOCK, ATTR_BYTES = 1, 1, 112
INHERIT, EXCLUDE_KERNEL = 1 << 1, 1 << 5
CLOSE_ON_EXEC = 8
RECORD_SAMPLE, RECORD_THROTTLE, RECORD_LOST = 9, 5, 2
MODE_MASK, MODE_USER = 7, 2

_libc = ctypes.CDLL(None, use_errno=True)


def _open_event(tid, flags, period=0):
    """A descriptor, or None where the kernel refuses."""
    if PERF_EVENT_OPEN is None:
        return None
    attributes = struct.pack("<IIQQQQQ", TYPE_SOFTWARE, ATTR_BYTES, TASK_CLOCK, period, 0, 0, flags)
    attributes = ctypes.create_string_buffer(attributes.ljust(ATTR_BYTES, b"\0"), ATTR_BYTES)
    fd = _libc.syscall(PERF_EVENT_OPEN, attributes, tid, -1, -1, CLOSE_ON_EXEC)
    return None if fd < 0 else fd


def _threads(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


class CpuMeter:
    """Nanoseconds on a CPU of all threads of a process, the kernel's workers for it included."""

    def __init__(self, pid):
        self._pid = pid
        # Unprivileged users must exclude the kernel; the clock counts all of the thread anyway.
        fds = [_open_event(tid, INHERIT | EXCLUDE_KERNEL) for tid in _threads(pid)]
        self.is_exact = None not in fds
        self._fds = [fd for fd in fds if fd is not None]

    def close(self):
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def nanoseconds(self):
        if not self.is_exact:
            return _schedstat(self._pid, 0)
        return sum(struct.unpack("<Q", os.read(fd, 8))[0] for fd in self._fds)


def waited_nanoseconds(pid):
    """How long the threads of a process had to wait for a CPU while they could have run."""
    return _schedstat(pid, 1)


def _schedstat(pid, field):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[field])
        except (FileNotFoundError, ProcessLookupError):
            continue  # A thread that ended while we looked.
    return total


class UserSampler:
    """Samples where the threads of a process run. A context manager; poll() it twice a second.

    A sample falls due by the thread's own clock, so user samples times the period is user time,
    whatever the sampling itself costs in the kernel. What falls due with interrupts off is taken
    where they are on again: what the kernel does so just before it leaves counts as user.
    """

    PERIOD_NS = 249_989  # a prime: no rhythm of the server keeps step with it
    PAGES = 64

    def __init__(self, pid):
        self.user = self.total = 0
        self.was_throttled = False
        self._rings = []
        for tid in _threads(pid):
            fd = _open_event(tid, 0, self.PERIOD_NS)
            if fd is None:
                raise OSError(ctypes.get_errno(), "perf_event_open: sampling wants root, or "
                              "kernel.perf_event_paranoid below 2")
            size = (self.PAGES + 1) * mmap.PAGESIZE
            self._rings.append((fd, mmap.mmap(fd, size)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd, ring in self._rings:
            ring.close()
            os.close(fd)
        self._rings = []

    @property
    def user_ns(self):
        return self.user * self.PERIOD_NS

    def poll(self):
        for _, ring in self._rings:
            head, tail = struct.unpack_from("<QQ", ring, 1024)
            data = ring[mmap.PAGESIZE:]
            while tail < head:
                kind, mode, size = struct.unpack_from("<IHH", data, tail % len(data))
                self._take(kind, mode & MODE_MASK)
                tail += size
            struct.pack_into("<Q", ring, 1032, tail)

    def _take(self, kind, mode):
        if kind == RECORD_SAMPLE:
            self.total += 1
            self.user += mode == MODE_USER
        self.was_throttled |= kind in (RECORD_THROTTLE, RECORD_LOST)
