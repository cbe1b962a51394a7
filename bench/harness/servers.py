"""Servers under test: where their programs are, how they start, what they cost."""

import os
import re
import resource
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LISTEN_LINE = re.compile(rb"listening on (\S+):(\d+)")
START_SECONDS = 5.0
STOP_SECONDS = 5.0


class BenchError(Exception):
    """Something a person has to know about; the text says what to do."""


@dataclass(frozen=True)
class ServerSpec:
    """How to start one server. The command prints `listening on HOST:PORT`."""

    name: str
    command: tuple
    is_floor: bool = False
    is_pinned: bool = True
    mode_command: tuple = ()  # to which the workload's mode is added; empty: only echoes

    def command_for(self, mode):
        return self.command if mode == "echo" else (*self.mode_command, mode)

    def can(self, mode):
        return mode == "echo" or bool(self.mode_command)


def find_program(build_dir, name):
    """The newest executable called `name` below build_dir, or None."""
    found = [
        path
        for path in Path(build_dir).rglob(name)
        if path.is_file() and os.access(path, os.X_OK)
    ]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


FLOOR_PROGRAMS = ("uring_echo", "epoll_echo")
PEERS = ("libuv", "libevent", "asio_epoll", "asio_uring")


def known_servers(build_dir):
    """All servers that exist below build_dir, by name."""
    specs = {}
    gyre, streamer = find_program(build_dir, "gyre"), find_program(build_dir, "peer_gyre")
    if gyre:
        base = (str(gyre), "echo", "--listen", "127.0.0.1:0", "--threads", "0")
        for name, engine in (("gyre", "auto"), ("gyre_uring", "uring"), ("gyre_epoll", "epoll")):
            modes = ("env", f"GYRE_ENGINE={engine}", str(streamer), "0") if streamer else ()
            specs[name] = ServerSpec(name, (*base, "--engine", engine), mode_command=modes)
        for name, threads in (("gyre_1loop", "1"), ("gyre_2loops", "2")):
            specs[name] = ServerSpec(name, (*base, "--threads", threads), is_pinned=False)
    for name in FLOOR_PROGRAMS:
        if program := find_program(build_dir, name):
            command = (str(program), "0")
            specs[name] = ServerSpec(name, command, is_floor=True, mode_command=command)
    for name in PEERS:
        if program := find_program(build_dir, f"peer_{name}"):
            command = (str(program), "0")
            specs[name] = ServerSpec(name, command, mode_command=command)
    return specs


def custom_server(text):
    """A server from NAME=COMMAND; leading VAR=VALUE words become its environment."""
    name, separator, command = text.partition("=")
    if not separator or not command:
        raise BenchError(f"--server wants NAME=COMMAND, not {text!r}")
    words = shlex.split(command)
    if "=" in words[0]:
        words.insert(0, "env")
    return ServerSpec(name, tuple(words))


class Server:
    """A running server, pinned to one CPU. Use as a context manager."""

    def __init__(self, spec, cpu, mode="echo"):
        self.spec = spec
        self._cpu = cpu
        self._command = spec.command_for(mode)
        self._process = None
        self._output = tempfile.TemporaryFile()  # A pipe would fill up and block the server.
        self.port = 0

    @property
    def pid(self):
        return self._process.pid

    def __enter__(self):
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                preexec_fn=self._prepare,
            )
        except OSError as error:
            self._output.close()
            raise BenchError(f"{self.spec.name} does not start: {error}") from error
        try:
            self.port = self._read_port(time.monotonic() + START_SECONDS)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self._kill()

    def stop(self):
        """Asks the server to end; its exit status, or None if it had to be killed."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return None

    @contextmanager
    def stopped(self):
        """While in the block the server gets no CPU time."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def anonymous_bytes(self):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", text).group(1)) * 1024

    def _prepare(self):
        if self.spec.is_pinned:
            os.sched_setaffinity(0, {self._cpu})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def _read_port(self, deadline):
        output = b""
        while time.monotonic() < deadline:
            has_ended = self._process.poll() is not None
            output = os.pread(self._output.fileno(), 65536, 0)
            match = LISTEN_LINE.search(output)
            if match:
                return int(match.group(2))
            if has_ended:
                break
            time.sleep(0.01)
        raise BenchError(
            f"{self.spec.name} did not print 'listening on HOST:PORT': "
            f"{output.decode(errors='replace').strip()!r}"
        )

    def _kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()
