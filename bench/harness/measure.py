"""Timed windows: one server and one load, each pinned to a CPU of its own."""

import re
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass

from harness.load import LoadProcess
from harness.machine import DISTURBED, Patience, busy_seconds
from harness.servers import Server

SETTLE_SECONDS = 2.5  # after which a server has given back what it keeps for a burst
TRACE_SECONDS = 0.5
TOTAL_LINE = re.compile(rb"^100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One window. Times are microseconds per message unless the name says otherwise."""

    server: str
    workload: str
    round: int
    messages: int
    seconds: float
    server_cpu: float
    server_user: float
    server_system: float
    load_cpu: float
    p50: float
    p99: float
    foreign: float  # CPU seconds per second that neither side used: what disturbed the window.
    waiting: float  # Seconds per second that the server could have run but did not.

    def as_dict(self):
        return asdict(self)


@dataclass(frozen=True)
class MemorySample:
    """Bytes per connection that a server and the kernel hold."""

    server: str
    workload: str
    round: int
    user: float  # anonymous memory of the server
    slab: float  # of the kernel, for both ends: the load's too

    def as_dict(self):
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    load_program: str
    seconds: float
    warmup: float
    server_cpu: int
    load_cpu: int
    patience: Patience

    def load(self, server, workload, seconds, warmup):
        arguments = [*workload.arguments, "--duration", str(seconds), "--warmup", str(warmup)]
        return LoadProcess(
            self.load_program, self.load_cpu, server.port, arguments, seconds + warmup
        )


def measure(spec, workload, plan, round_number):
    """One window on a freshly started server; again while others disturb it and patience lasts."""
    if workload.is_memory:
        return _measure_memory(spec, workload, plan, round_number)
    while True:
        plan.patience.wait_for_quiet()
        sample = _measure_once(spec, workload, plan, round_number)
        if sample.foreign < DISTURBED or plan.patience.seconds <= 0:
            return sample
        plan.patience.seconds -= sample.seconds


def _measure_once(spec, workload, plan, round_number):
    with Server(spec, plan.server_cpu, workload.mode) as server:
        with plan.load(server, workload, plan.seconds, plan.warmup) as load:
            load.await_line("open")
            cost, busy = server.cost(), busy_seconds()
            load.await_line("closed")
            cost, busy = server.cost() - cost, busy_seconds() - busy
            result = load.result()
    messages, seconds = result["messages"], result["seconds"]
    server_cpu = cost.on_cpu_ns / 1000 / messages
    ticks = max(cost.user_ticks + cost.system_ticks, 1)
    ours = cost.on_cpu_ns / 1e9 + result["load_cpu_us"] * messages / 1e6
    return Sample(
        server=spec.name,
        workload=workload.name,
        round=round_number,
        messages=messages,
        seconds=seconds,
        server_cpu=server_cpu,
        server_user=server_cpu * cost.user_ticks / ticks,
        server_system=server_cpu * cost.system_ticks / ticks,
        load_cpu=result["load_cpu_us"],
        p50=result["latency_us"]["p50"],
        p99=result["latency_us"]["p99"],
        foreign=max(busy - ours, 0) / seconds,
        waiting=cost.waiting_ns / 1e9 / seconds,
    )


def _measure_memory(spec, workload, plan, round_number):
    with Server(spec, plan.server_cpu) as server:
        user, slab = server.anonymous_bytes(), kernel_slab_bytes()
        with plan.load(server, workload, 600, 0) as load:
            load.await_line("open")
            time.sleep(SETTLE_SECONDS)
            user, slab = server.anonymous_bytes() - user, kernel_slab_bytes() - slab
            load.interrupt()
            load.await_line("closed")
            load.result()
    count = workload.connections
    return MemorySample(spec.name, workload.name, round_number, user / count, slab / count)


def kernel_slab_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("Slab:"))
    return int(line.split()[1]) * 1024


def system_calls_per_message(spec, workload, plan):
    """In a window of its own, because strace slows the server down. None without strace."""
    with Server(spec, plan.server_cpu, workload.mode) as server, \
            tempfile.NamedTemporaryFile() as out:
        with plan.load(server, workload, TRACE_SECONDS + 1, 0.2) as load:
            load.await_line("open")
            command = ["strace", "-c", "-f", "-o", out.name, "-p", str(server.pid)]
            try:
                tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            except FileNotFoundError:
                return None
            load.await_line("closed")
            tracer.terminate()
            tracer.wait()
            messages = load.result()["messages"]
        match = TOTAL_LINE.search(out.read())
    return int(match.group(1)) / messages if match else None
