"""The load: `gyre bench`, pinned, held at both edges of its window."""

import json
import os
import select
import signal
import subprocess
import time

from harness.servers import BenchError

GRACE_SECONDS = 20.0


def load_command(program, port, arguments):
    return [str(program), "bench", f"127.0.0.1:{port}", "--json", *arguments]


class LoadProcess:
    """Use as a context manager. Its output: "open", "closed", and one line of JSON."""

    def __init__(self, program, cpu, port, arguments, seconds):
        self._buffer = b""
        self._deadline = time.monotonic() + seconds + GRACE_SECONDS
        self._process = subprocess.Popen(
            load_command(program, port, ["--sync", *arguments]),
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

    def await_line(self, expected):
        line = self._read_line()
        if line != expected:
            raise BenchError(f"the load printed {line!r} instead of {expected!r}")

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def result(self):
        """Its JSON; a run that was not what was asked is an error."""
        report = json.loads(self._read_line())
        _, err = self._process.communicate(timeout=GRACE_SECONDS)
        if self._process.returncode != 0:
            raise BenchError(f"the load failed: {err.decode(errors='replace').strip()[-300:]}")
        return report

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
