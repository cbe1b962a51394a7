"""An example as a child: started on port 0, spoken to over real sockets, ended by a signal."""

import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "program"))

from children import PATIENCE, Outcome, connect, receive_all, receive_exactly  # noqa: E402

FOLDER = pathlib.Path(os.environ.get("GYRE_EXAMPLES", ""))
LOOPBACK = "127.0.0.1"
ANY_PORT = f"{LOOPBACK}:0"
LISTENING = "listening on "


def run(name, *args):
    """Runs an example to its end."""
    done = subprocess.run([FOLDER / name, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=PATIENCE)
    return Outcome(done.returncode, done.stdout, done.stderr)


def take_two_cpus():
    """In the child: a large machine makes no more loops, and buffers for them, than a small."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


class Example:
    """A running example. Use as a context manager: whatever happens, the child ends."""

    def __init__(self, name, *args):
        self._err = tempfile.TemporaryFile()
        self.process = subprocess.Popen([FOLDER / name, *args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self._err,
                                        preexec_fn=take_two_cpus)
        self.out = b""
        try:
            self.address = self.await_line(LISTENING).removeprefix(LISTENING)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._err.close()

    def await_line(self, words):
        """The first whole line of the output in which the words are."""
        deadline = time.monotonic() + PATIENCE
        while True:
            whole = self.out[:self.out.rfind(b"\n") + 1].decode().splitlines()
            for line in whole:
                if words in line:
                    return line
            left = max(0, deadline - time.monotonic())
            readable, _, _ = select.select([self.process.stdout], [], [], left)
            piece = os.read(self.process.stdout.fileno(), 4096) if readable else b""
            if not piece:
                raise AssertionError(f"'{words}' never came: {self.end_by(signal.SIGKILL)}")
            self.out += piece

    def connect(self, options=()):
        return connect(self.address, options)

    def memory(self):
        """The most that was resident, in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024

    def end_by(self, number=signal.SIGTERM):
        """Sends the signal, waits for the end, and returns the Outcome."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=PATIENCE)
        self.out += self.process.stdout.read()
        self._err.seek(0)
        return Outcome(status, self.out.decode(), self._err.read().decode())


class ExampleTest(unittest.TestCase):
    def start(self, name, *args):
        child = Example(name, *args)
        self.addCleanup(child.close)
        return child

    def keep(self, peer):
        self.addCleanup(peer.close)
        return peer

    def connect(self, child, options=()):
        return self.keep(child.connect(options))

    def assertEchoes(self, peer, data=b"ping" * 250):
        peer.sendall(data)
        self.assertEqual(receive_exactly(peer, len(data)), data)

    def assertEnds(self, peer):
        """In good order, with nothing before."""
        self.assertEqual(receive_all(peer), b"")

    def assertStops(self, child, number=signal.SIGTERM):
        """With status 0, without a complaint or a warning."""
        outcome = child.end_by(number)
        self.assertEqual(outcome.status, 0, outcome)
        self.assertEqual(outcome.complaints, [], outcome)
        self.assertEqual([line for line in outcome.log if " info " not in line], [], outcome)
        return outcome

    def assertFails(self, outcome, status, *words):
        """With that status, and nothing said but one line of complaint with all the words."""
        self.assertEqual((outcome.status, outcome.out), (status, ""), outcome)
        self.assertEqual(len(outcome.complaints), 1, outcome)
        for word in words:
            self.assertIn(word, outcome.complaints[0])


def closed_port():
    """An address where nobody listens, kept as long as the socket is."""
    holder = socket.socket()
    holder.bind((LOOPBACK, 0))
    return holder, f"{LOOPBACK}:{holder.getsockname()[1]}"


def main():
    if not FOLDER.is_dir():
        sys.exit("GYRE_EXAMPLES must be the folder of the built examples")
    result = unittest.main(module="__main__", exit=False).result
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
