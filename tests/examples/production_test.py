"""The sample of README.md for production, as it is printed there: all it says is true of it."""

import os
import pathlib
import re
import signal
import socket
import struct
import sys
import threading
import unittest

import example
from example import FOLDER, receive_all, receive_exactly

import children
import restart

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "examples" / "production.cc"


class ProductionTest(restart.RestartTest):
    def setUp(self):
        super().setUp()
        context = children.public_folder()
        self.path = context.__enter__() / "socket"
        self.addCleanup(context.__exit__, None, None, None)

    def start(self, address=None, **surroundings):
        environment = {**os.environ, "GYRE_TEST_MARK": self.mark}
        child = children.Child([FOLDER / "production", address or f"unix:{self.path}"],
                               env=environment, preexec_fn=example.take_two_cpus, **surroundings)
        self.addCleanup(child.close)
        child.address = address or f"unix:{self.path}"
        if address is None:
            children.await_that(self.path.exists, "the socket")
        return child

    def assertAnswers(self, peer, text=b"hello"):
        frame = struct.pack("!I", len(text)) + text
        peer.sendall(frame)
        self.assertEqual(receive_exactly(peer, len(frame)), frame)

    def connected(self, child):
        peer = child.connect()
        self.addCleanup(peer.close)
        self.assertAnswers(peer)
        return peer

    def test_sigterm_ends_it_long_before_the_drain_time_with_idle_clients(self):
        child = self.start()
        peers = [self.connected(child) for _ in range(20)]
        child.process.send_signal(signal.SIGTERM)
        for peer in peers:
            self.assertEqual(receive_all(peer), b"")
            peer.close()
        self.assertEqual(child.process.wait(timeout=20), 0)

    def test_sigterm_lets_a_request_that_is_under_way_come_to_its_answer(self):
        child = self.start()
        frame = struct.pack("!I", 5) + b"hello"
        peer, idle = self.connected(child), self.connected(child)
        peer.sendall(frame[:6])
        child.process.send_signal(signal.SIGTERM)
        self.assertEqual(receive_all(idle), b"")
        peer.sendall(frame[6:])
        self.assertEqual(receive_exactly(peer, len(frame)), frame)
        self.assertEqual(receive_all(peer), b"")
        peer.close()
        idle.close()
        self.assertEqual(child.process.wait(timeout=20), 0)

    def test_sigusr2_replaces_it_without_one_refused_client_and_idle_ones_end(self):
        child = self.start()
        idle = self.connected(child)
        faults, is_over = [], threading.Event()

        def come_and_go():
            while not is_over.is_set():
                try:
                    with child.connect() as peer:
                        self.assertAnswers(peer)
                except (OSError, AssertionError) as fault:
                    faults.append(repr(fault))

        # One: each client is the only one there is, and nobody else's coming makes up for it.
        client = threading.Thread(target=come_and_go)
        client.start()
        try:
            child.process.send_signal(signal.SIGUSR2)
            self.assertEqual(receive_all(idle), b"")
            idle.close()
            self.assertEqual(child.process.wait(timeout=20), 0)
        finally:
            is_over.set()
            client.join()
        self.assertEqual(faults, [])
        successor = self.successor_of(child.process.pid)
        self.connected(child).close()
        os.kill(successor, signal.SIGTERM)
        children.await_that(lambda: not self.marked(), "the end of the successor")
        self.assertFalse(self.path.exists(), "the path of an ended server")

    def test_systemds_socket_is_served_whatever_its_address(self):
        wrapper = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" 127.0.0.1:0'
        with socket.create_server(("127.0.0.1", 0)) as listener:
            three = os.dup(listener.fileno())
            child = children.Child(
                ["/bin/sh", "-c", wrapper, FOLDER / "production"], close_fds=False,
                env={**os.environ, "GYRE_TEST_MARK": self.mark},
                preexec_fn=lambda: os.dup2(three, 3))
            self.addCleanup(child.close)
            os.close(three)
            child.address = "127.0.0.1:%d" % listener.getsockname()[1]
            self.connected(child).close()
            self.restart(child)
            listener.close()
            self.connected(child).close()

    def test_an_address_that_cannot_be_listened_on_is_said(self):
        outcome = example.run("production", "192.0.2.1:1")
        self.assertEqual((outcome.status, len(outcome.complaints)), (1, 1), outcome)
        self.assertIn("192.0.2.1:1", outcome.complaints[0])


class ReadmeTest(unittest.TestCase):
    def test_the_sample_is_the_example(self):
        """All but its first line, which says what the file is."""
        blocks = re.findall(r"```cpp\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        printed = [block for block in blocks if "ServiceRunner" in block]
        self.assertEqual(printed, [SOURCE.read_text().split("\n", 1)[1]])


if __name__ == "__main__":
    if not FOLDER.is_dir():
        sys.exit("GYRE_EXAMPLES must be the folder of the built examples")
    example.main()
