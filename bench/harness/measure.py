"""Timed windows: one server and one load, each pinned to a CPU of its own."""

import re
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.load import HeldLoad, LoadProcess, load_command
from harness.machine import DISTURBED, IDLE_RESOLUTION, Patience, busy_seconds
from harness.meter import CpuMeter, UserSampler, waited_nanoseconds
from harness.servers import BenchError, Server

SETTLE_SECONDS = 3.0  # after which a server has given back what it keeps for a burst
TRACE_SECONDS = 0.5
RETRIES = 3  # of a window that others disturbed
EDGE_SECONDS = 0.0003  # that the readings at one edge may take; else they are taken again
POLL_SECONDS = 0.25
WATCHED_STRETCH = 4  # a watched window is so many times longer
REST_SECONDS = 0.5  # that a server may take to answer what a stopped load has sent
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
    user_ticks: int  # of the server, 10 ms each, as the kernel's ticks happened to hit it
    system_ticks: int
    load_cpu: float
    foreign: float  # CPU seconds per second that others took: what disturbed the window.
    user_samples: int = 0  # of a sampler, where one was asked for
    all_samples: int = 0

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
    crowd_program: str
    seconds: float
    warmup: float
    server_cpu: int
    load_cpu: int
    patience: Patience

    def load(self, server, arguments, seconds):
        command = load_command(self.load_program, server.port, ["--sync", *arguments])
        return LoadProcess(command, self.load_cpu, seconds)


@dataclass(frozen=True)
class Edge:
    """All counters at one moment."""

    at: float
    messages: int
    server_ns: int
    load_ns: int
    waited_ns: int  # by both sides, runnable
    busy: float
    user_ticks: int
    system_ticks: int


class SilenceError(BenchError):
    """A window in which nothing came: who took the CPU for so long, or is the server stuck?"""


class Contender:
    """A server and its load, started and connected; idle except within window()."""

    def __init__(self, spec, workload, plan):
        self.spec = spec
        self._workload = workload
        self._plan = replace(plan, seconds=plan.seconds * workload.stretch,
                             warmup=plan.warmup * workload.stretch)
        self._stack = ExitStack()

    def __enter__(self):
        with self._stack as stack:
            plan, workload = self._plan, self._workload
            self._server = stack.enter_context(Server(self.spec, plan.server_cpu, workload.mode))
            self._load = stack.enter_context(HeldLoad(plan, self._server, workload))
            self._server_meter = CpuMeter(self._server.pid)
            stack.callback(self._server_meter.close)
            self._load_meter = CpuMeter(self._load.pid)
            stack.callback(self._load_meter.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, *_):
        with self._stack:
            if kind is None:
                self._load.finish()

    @property
    def server_pid(self):
        return self._server.pid

    def counted(self):
        """Messages and the server's nanoseconds on a CPU, so far."""
        return self._load.messages(), self._server_meter.nanoseconds()

    def window(self, number):
        """One window; again while others disturb it and patience lasts."""
        return self._calm_window(number, self._pass_time)

    def watched_window(self, number):
        """Like window(), with a sampler on the server, which costs it some of its CPU."""
        return self._calm_window(number, self._pass_time_sampling)

    def _calm_window(self, number, pass_time):
        for attempt in range(RETRIES + 1):
            try:
                sample = self._window(number, pass_time)
            except SilenceError:
                if attempt == RETRIES:
                    raise
                continue
            patience = self._plan.patience
            if sample.foreign < DISTURBED or attempt == RETRIES or patience.seconds <= 0:
                break
            patience.seconds -= sample.seconds
            patience.wait_for_quiet()
        return sample

    def _window(self, number, pass_time):
        edges = self._drained_edges if self._workload.is_crowded else self._running_edges
        first, last, user, total = edges(pass_time)
        messages = last.messages - first.messages
        if messages == 0 or last.server_ns == first.server_ns:
            raise SilenceError(
                f"{self.spec.name}: {self._workload.name}: {messages} messages and"
                f" {last.server_ns - first.server_ns} ns in a window")
        seconds = last.at - first.at
        server, load = last.server_ns - first.server_ns, last.load_ns - first.load_ns
        # Two measures: what was neither idle nor ours, known to 10 ms; and, exactly, how long both
        # sides had to wait for a CPU.
        foreign = last.busy - first.busy - (server + load) / 1e9 - IDLE_RESOLUTION
        foreign = max(foreign, (last.waited_ns - first.waited_ns) / 1e9, 0)
        return Sample(
            server=self.spec.name, workload=self._workload.name, round=number, messages=messages,
            seconds=seconds, server_cpu=server / 1000 / messages,
            user_ticks=last.user_ticks - first.user_ticks,
            system_ticks=last.system_ticks - first.system_ticks,
            load_cpu=load / 1000 / messages, foreign=foreign / seconds,
            user_samples=user, all_samples=total,
        )

    def _running_edges(self, pass_time):
        """The counters while both sides are at it."""
        self._load.resume()
        try:
            time.sleep(self._plan.warmup)
            first = self._edge()
            user, total = pass_time()
            return first, self._edge(), user, total
        finally:
            self._load.pause()

    def _drained_edges(self, pass_time):
        """The counters while the load is stopped and the server has done all it was asked.

        Of thousands of connections a good part of a window's messages is on its way at any moment,
        answered and not counted, and how many differs from edge to edge. When the server has come
        to rest every connection's last message is in the same state.
        """
        first = self._resting_edge()
        self._load.resume()
        try:
            user, total = pass_time()
        finally:
            self._load.pause()
        return first, self._resting_edge(), user, total

    def _resting_edge(self):
        edge, deadline = self._edge(), time.monotonic() + REST_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.002)
            before, edge = edge, self._edge()
            if edge.server_ns == before.server_ns:
                break
        return edge

    def _pass_time(self):
        time.sleep(self._plan.seconds)
        return 0, 0

    def _pass_time_sampling(self):
        """The sampler's hits in user space, and all of them."""
        end = time.monotonic() + WATCHED_STRETCH * self._plan.seconds
        with UserSampler(self._server.pid) as sampler:
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, POLL_SECONDS))
                sampler.poll()
            return sampler.user, sampler.total

    def _edge(self):
        for _ in range(4):
            started = time.monotonic()
            messages, server_ns = self.counted()
            load_ns = self._load_meter.nanoseconds()
            at = time.monotonic()
            if at - started < EDGE_SECONDS:  # Nobody took the CPU away in between.
                break
        waited_ns = waited_nanoseconds(self._server.pid) + waited_nanoseconds(self._load.pid)
        return Edge(at, messages, server_ns, load_ns, waited_ns, busy_seconds(),
                    *_ticks(self._server.pid))


def _ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def measure_memory(spec, workload, plan, round_number):
    with Server(spec, plan.server_cpu) as server:
        user, slab = server.anonymous_bytes(), kernel_slab_bytes()
        held = [*workload.arguments, "--duration", "600", "--warmup", "0"]
        with plan.load(server, held, 600) as load:
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
    arguments = [*workload.arguments, "--duration", str(TRACE_SECONDS + 1), "--warmup", "0.2"]
    with Server(spec, plan.server_cpu, workload.mode) as server, \
            tempfile.NamedTemporaryFile() as out:
        with plan.load(server, arguments, TRACE_SECONDS + 2) as load:
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


def open_loop(spec, workload, plan, rate):
    """Latency in µs by name when that many messages per second are due, whatever the server does;
    and what others took meanwhile, in CPUs."""
    arguments = [*workload.arguments, "--rate", f"{rate:.0f}", "--duration", str(plan.seconds),
                 "--warmup", str(plan.warmup)]
    with Server(spec, plan.server_cpu) as server, \
            plan.load(server, arguments, plan.seconds + plan.warmup) as load, \
            closing(CpuMeter(server.pid)) as served, closing(CpuMeter(load.pid)) as loaded:
        load.await_line("open")
        at, busy = time.monotonic(), busy_seconds()
        ours = served.nanoseconds() + loaded.nanoseconds()
        load.await_line("closed")
        seconds, busy = time.monotonic() - at, busy_seconds() - busy
        ours = served.nanoseconds() + loaded.nanoseconds() - ours
        return load.result()["latency_us"], max(busy - ours / 1e9, 0) / seconds
