"""The load: `gyre bench` or `crowd`, pinned, on one CPU of its own."""

import json
import os
import select
import signal
import struct
import subprocess
import tempfile
import time

from harness.servers import BenchError

GRACE_SECONDS = 20.0
ENDLESS = "86400"


def load_command(program, port, arguments):
    return [str(program), "bench", f"127.0.0.1:{port}", "--json", *arguments]


class LoadProcess:
    """Use as a context manager. Its output: "open", "closed", and one line of JSON."""

    def __init__(self, command, cpu, seconds):
        self._buffer = b""
        self._deadline = time.monotonic() + seconds + GRACE_SECONDS
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self):
        return self._process.pid

    def await_line(self, expected):
        line = self._read_line()
        if line != expected:
            raise BenchError(f"the load printed {line!r} instead of {expected!r}")

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def result(self):
        """Its JSON; a run that was not what was asked is an error."""
        report = json.loads(self._read_line())
        self._require_success()
        return report

    def _require_success(self):
        _, err = self._process.communicate(timeout=GRACE_SECONDS)
        if self._process.returncode != 0:
            raise BenchError(f"the load failed: {err.decode(errors='replace').strip()[-300:]}")

    def _read_line(self):
        pipe = self._process.stdout
        while b"\n" not in self._buffer:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0 or not select.select([pipe], [], [], remaining)[0]:
                raise BenchError("the load did not end in time")
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                _, err = self._process.communicate(timeout=GRACE_SECONDS)
                raise BenchError(f"the load failed: {err.decode(errors='replace')[-300:]}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


class HeldLoad(LoadProcess):
    """A load that stays connected and is stopped except while its server's window lasts.

    So windows can be short and many, without a process and its connections to start for each; how
    many messages there were is in a file that both sides have mapped.
    """

    def __init__(self, plan, server, workload):
        self._counter = tempfile.NamedTemporaryFile()
        self._is_crowd = workload.kind == "broadcast"
        if self._is_crowd:
            command = [str(plan.crowd_program), "127.0.0.1", str(server.port),
                       str(workload.connections), str(workload.size), self._counter.name]
        else:
            held = ["--sync", "--count-in", self._counter.name, "--warmup", "0", "--duration",
                    ENDLESS]
            command = load_command(plan.load_program, server.port, [*workload.arguments, *held])
        super().__init__(command, plan.load_cpu, workload.connections / 1000)
        try:
            self.await_line("open")
            self.pause()
        except BaseException:
            super().__exit__()
            raise

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def messages(self):
        return struct.unpack("=Q", os.pread(self._counter.fileno(), 8, 0))[0]

    def finish(self):
        """Ends it; an error since its start is an error here."""
        self._deadline = time.monotonic() + GRACE_SECONDS
        self.resume()
        self.interrupt()
        if self._is_crowd:
            return self._require_success()
        self.await_line("closed")
        return self.result()

    def _signal(self, number):
        if self._process.poll() is not None:
            self._require_success()
            raise BenchError("the load ended early")
        self._process.send_signal(number)
