"""Workloads: what the load does, by a short name."""

import re
from dataclasses import dataclass

from harness.servers import BenchError

ECHO = re.compile(r"(\d+)(k?)x(\d+)(?:d(\d+))?")
STREAM = re.compile(r"(sink|source)(\d+)(k?)x(\d+)")
CONNECT = re.compile(r"connectx(\d+)")
BROADCAST = re.compile(r"broadcastx(\d+)")
IDLE = re.compile(r"(idle|touched)x(\d+)")
FORMS = ("SIZE[k]xN[dDEPTH], sinkSIZE[k]xN, sourceSIZE[k]xN, connectxN, broadcastxN, idlexN or "
         "touchedxN")


@dataclass(frozen=True)
class Workload:
    """`mode` is what the server does; `arguments` are the load's."""

    name: str
    kind: str  # echo, sink, source, connect, broadcast, idle, touched
    connections: int
    size: int
    depth: int = 1

    @property
    def mode(self):
        return self.kind if self.kind in ("sink", "source", "broadcast") else "echo"

    @property
    def stretch(self):
        """By how much its windows are longer: a turn of thousands of connections takes a while."""
        return 4 if self.connections >= 4000 else 1

    @property
    def is_crowded(self):
        """Whether more messages are on their way than a short window's count could pass over."""
        return self.connections >= 400

    @property
    def is_memory(self):
        return self.kind in ("idle", "touched")

    @property
    def arguments(self):
        """Of gyre bench; a broadcast has a load of its own."""
        words = ["--connections", str(self.connections)]
        words += {
            "echo": ["--size", str(self.size), "--depth", str(self.depth)],
            "sink": ["--size", str(self.size), "--reply-size", "0"],
            "source": ["--size", "0", "--reply-size", str(self.size)],
            "connect": ["--connect-per-request", "--size", str(self.size)],
            "idle": ["--idle"],
            "touched": ["--idle", "--touch", "--check", "--size", str(self.size)],
        }[self.kind]
        return words

    @staticmethod
    def parse(text):
        """For example 64x50, 16kx50, 64x50d16, sink256kx2, connectx20, idlex10000."""
        if match := ECHO.fullmatch(text):
            size, unit, connections, depth = match.groups()
            return Workload(text, "echo", int(connections), _bytes(size, unit), int(depth or 1))
        if match := STREAM.fullmatch(text):
            kind, size, unit, connections = match.groups()
            return Workload(text, kind, int(connections), _bytes(size, unit))
        if match := CONNECT.fullmatch(text):
            return Workload(text, "connect", int(match.group(1)), 64)
        if match := BROADCAST.fullmatch(text):
            return Workload(text, "broadcast", int(match.group(1)), 1024)
        if match := IDLE.fullmatch(text):
            kind, connections = match.groups()
            return Workload(text, kind, int(connections), 4096)
        raise BenchError(f"a workload is {FORMS}, not {text!r}")


def _bytes(digits, unit):
    return int(digits) * (1024 if unit else 1)


ECHOES = ("64x1", "64x50", "64x800", "64x8000", "64x50d16", "4kx50", "16kx50", "256kx8")
FLOOR = ECHOES
FULL = (*ECHOES, "sink256kx2", "source256kx2", "connectx50", "broadcastx5000", "idlex10000",
        "touchedx10000")
ENGINES = tuple(f"{size}x{count}" for size in ("64", "4k", "16k") for count in (1, 50, 800))
LOOPS = ("64x50", "64x800")
LATENCY = ("64x50", "4kx50")
USER = ("64x50",)
