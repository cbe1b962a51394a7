"""An example as a child: started on port 0, spoken to over real sockets, ended by a signal."""

import os
import pathlib
import signal
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "program"))

import children  # noqa: E402
from children import PATIENCE, Child, receive_all, receive_exactly  # noqa: E402

FOLDER = pathlib.Path(os.environ.get("GYRE_EXAMPLES", ""))
LOOPBACK = "127.0.0.1"
ANY_PORT = f"{LOOPBACK}:0"


def run(name, *args):
    """Runs an example to its end."""
    return children.run(*args, program=FOLDER / name)


def take_two_cpus():
    """In the child: a large machine makes no more loops, and buffers for them, than a small."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


class Example(Child):
    """An example, running."""

    def __init__(self, name, *args):
        super().__init__([FOLDER / name, *args], preexec_fn=take_two_cpus)
        try:
            self.await_listening()
        except BaseException:
            self.close()
            raise

    def memory(self):
        """The most that was resident, in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024


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
