"""The machine around a measurement: how busy it is, and how to be preferred on it."""

import os
import platform
import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from harness.servers import BenchError

DISTURBED = 0.10  # CPU seconds of others per second that make a window worth less.
IDLE_RESOLUTION = 0.01  # seconds, of idle_seconds()
AUTOGROUP = Path("/proc/self/autogroup")


def idle_seconds():
    """CPU seconds that all CPUs have idled. To 10 ms, and no tick's guess: with NO_HZ the kernel
    takes the time whenever a CPU begins and ends to idle."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """CPU seconds of all CPUs on anything but idling; only differences mean something."""
    return os.cpu_count() * time.monotonic() - idle_seconds()


class Patience:
    """A budget of seconds for waiting until nobody else uses the machine, and for retries."""

    PROBE_SECONDS = 0.1

    def __init__(self, seconds):
        self.seconds = seconds

    def wait_for_quiet(self):
        while self.seconds > 0:
            busy = busy_seconds()
            time.sleep(self.PROBE_SECONDS)
            self.seconds -= self.PROBE_SECONDS
            if busy_seconds() - busy <= DISTURBED * self.PROBE_SECONDS + 0.01:
                return


@contextmanager
def preferred():
    """While in the block this session's processes run before those of other sessions."""
    try:
        before = AUTOGROUP.read_text().rsplit(maxsplit=1)[-1]
        AUTOGROUP.write_text("-20")
    except OSError as error:
        raise BenchError(f"--preferred wants root and autogroups: {error}") from error
    try:
        yield
    finally:
        AUTOGROUP.write_text(before)


class StealClock:
    """Which share of the CPUs' time the hypervisor gave to others, since this was made."""

    def __init__(self):
        self._before = self._read()

    def share(self):
        stolen, total = (after - before for after, before in zip(self._read(), self._before))
        return stolen / total if total else 0.0

    @staticmethod
    def _read():
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
        return int(fields[7]), sum(map(int, fields))


PACKAGES = ("libuv1-dev", "libevent-dev", "libboost1.81-dev", "liburing-dev")


def describe():
    """What a reader must know of where figures come from."""
    cpu = _first_line(("sh", "-c", "grep -m1 'model name' /proc/cpuinfo")).partition(": ")[2]
    memory = Path("/proc/meminfo").read_text().split()[1]
    versions = {"compiler": _first_line(("c++", "--version"))}
    for package in PACKAGES:
        versions[package] = _first_line(("dpkg-query", "-Wf", "${Version}", package)) or "missing"
    return {
        "cpu": cpu or platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20),
        "kernel": re.match(r"[\d.]*", platform.release()).group(),
        "congestion": _content("/proc/sys/net/ipv4/tcp_congestion_control") or "unknown",
        "qdisc": loopback_qdisc(),
        "mitigations": mitigations(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": versions,
    }


def loopback_qdisc():
    """BBR paces by timers of its own where this is not fq: another machine altogether."""
    words = _first_line(("tc", "qdisc", "show", "dev", "lo")).split()
    return words[1] if len(words) > 1 else "unknown"


def mitigations(folder=Path("/sys/devices/system/cpu/vulnerabilities")):
    """What the kernel does against which fault of the processor: it makes system calls dearer."""
    found = {}
    for path in sorted(folder.glob("*")):
        text = path.read_text().strip()
        if text.startswith("Mitigation: "):
            found[path.name] = text.removeprefix("Mitigation: ").partition(";")[0]
    return found


def _content(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.partition("\n")[0].strip()
