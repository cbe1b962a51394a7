"""Timed windows: one server and one load, each pinned to a CPU of its own."""

import json
import os
import select
import subprocess
import time
from dataclasses import asdict, dataclass

from harness.machine import DISTURBED, Patience, busy_seconds
from harness.servers import BenchError, Server

GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class Workload:
    size: int
    connections: int
    depth: int = 1

    @property
    def name(self):
        unit = f"{self.size // 1024}k" if self.size % 1024 == 0 else str(self.size)
        return f"{unit}x{self.connections}" + (f"d{self.depth}" if self.depth > 1 else "")

    @staticmethod
    def parse(text):
        """From SIZE[k]xCONNECTIONS[dDEPTH], for example 64x50, 16kx50, 64x50d16."""
        try:
            size, _, rest = text.lower().partition("x")
            connections, _, depth = rest.partition("d")
            factor = 1024 if size.endswith("k") else 1
            return Workload(int(size.rstrip("k")) * factor, int(connections), int(depth or 1))
        except ValueError as error:
            raise BenchError(f"a workload is SIZE[k]xCONNECTIONS[dDEPTH], not {text!r}") from error


FLOOR_WORKLOADS = ("64x1", "64x50", "64x800", "64x50d16", "4kx50", "16kx50", "256kx8")


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
class Plan:
    load_program: str
    seconds: float
    warmup: float
    server_cpu: int
    load_cpu: int
    patience: Patience


class LoadProcess:
    """The load client, held at both edges of its window. Use as a context manager."""

    def __init__(self, plan, port, workload):
        command = [str(plan.load_program), str(port), "--sync"]
        command += ["--connections", str(workload.connections), "--size", str(workload.size)]
        command += ["--depth", str(workload.depth)]
        command += ["--seconds", str(plan.seconds), "--warmup", str(plan.warmup)]
        self._buffer = b""
        self._deadline = time.monotonic() + plan.seconds + plan.warmup + GRACE_SECONDS
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {plan.load_cpu}),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # Lets the connections close.
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def read_line(self):
        pipe = self._process.stdout
        while b"\n" not in self._buffer:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0 or not select.select([pipe], [], [], remaining)[0]:
                raise BenchError("the load client did not end in time")
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                raise BenchError("the load client failed; its message is above")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


def measure(spec, workload, plan, round_number):
    """One window on a freshly started server; again while others disturb it and patience lasts."""
    while True:
        plan.patience.wait_for_quiet()
        sample = _measure_once(spec, workload, plan, round_number)
        if sample.foreign < DISTURBED or plan.patience.seconds <= 0:
            return sample
        plan.patience.seconds -= sample.seconds


def _measure_once(spec, workload, plan, round_number):
    with Server(spec, plan.server_cpu) as server:
        with LoadProcess(plan, server.port, workload) as load:
            if load.read_line() != "open":
                raise BenchError("the load client did not open its window")
            cost, busy = server.cost(), busy_seconds()
            result = json.loads(load.read_line())
            cost, busy = server.cost() - cost, busy_seconds() - busy
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
        p50=result["p50_us"],
        p99=result["p99_us"],
        foreign=max(busy - ours, 0) / seconds,
        waiting=cost.waiting_ns / 1e9 / seconds,
    )
