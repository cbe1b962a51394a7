"""idle and max_connections: who is closed, and that nobody else is."""

import socket
import time

import example
from example import ANY_PORT, PATIENCE, receive_all, receive_exactly

USAGE = 2


class IdleTest(example.ExampleTest):
    IDLE = 0.6  # seconds

    def setUp(self):
        self.server = self.start("idle", ANY_PORT, str(int(self.IDLE * 1000)))

    def test_the_silent_are_closed_and_who_speaks_stays(self):
        started = time.monotonic()
        never, once = self.connect(self.server), self.connect(self.server)
        speaker = self.connect(self.server)
        self.assertEchoes(once)
        spoke = started
        for peer in (never, once):
            host, port = peer.getsockname()
            peer.setblocking(False)
            while not self.has_ended(peer):
                if time.monotonic() - spoke > self.IDLE / 2:
                    return  # a machine so busy that the speaker may be silent as long: no proof
                self.assertEchoes(speaker, b"still here")
                spoke = time.monotonic()
                self.assertLess(time.monotonic() - started, PATIENCE)
                time.sleep(0.02)  # what is measured is silence
            peer.close()  # the server waits for that
            self.server.await_line(f"{host}:{port} was silent")
        self.assertGreaterEqual(time.monotonic() - started, self.IDLE)
        self.assertEchoes(speaker)
        outcome = self.assertStops(self.server)
        self.assertEqual(outcome.out.count("was silent"), 2, outcome)

    @staticmethod
    def has_ended(peer):
        try:
            return peer.recv(1) == b""
        except BlockingIOError:
            return False

    def test_who_does_not_take_what_it_is_owed_is_closed_too(self):
        stuck = self.connect(self.server, ((socket.SO_RCVBUF, 4096),))
        host, port = stuck.getsockname()
        stuck.setblocking(False)
        try:
            while True:
                stuck.send(bytes(65536))
                time.sleep(0.001)
        except BlockingIOError:
            pass
        except ConnectionError:
            pass
        self.server.await_line(f"{host}:{port} did not read")
        self.assertStops(self.server)

    def test_a_time_that_is_none_is_refused(self):
        for wrong in ("0", "soon", str(10**9)):
            self.assertFails(example.run("idle", ANY_PORT, wrong), USAGE, f"'{wrong}'")


class MaxConnectionsTest(example.ExampleTest):
    MOST = 3

    def test_one_more_is_closed_at_once_and_has_room_when_another_has_gone(self):
        server = self.start("max_connections", ANY_PORT, str(self.MOST))
        admitted = [self.connect(server) for _ in range(self.MOST)]
        for peer in admitted:
            self.assertEchoes(peer)
        for _ in range(5):
            self.assertTurnedAway(self.connect(server))
        for peer in admitted:  # none of them was harmed
            self.assertEchoes(peer)
        admitted.pop().close()
        deadline = time.monotonic() + PATIENCE
        while not self.isServed(peer := self.connect(server)):
            self.assertLess(time.monotonic(), deadline)
        for other in (peer, *admitted):
            self.assertEchoes(other)
        self.assertTurnedAway(self.connect(server))
        self.assertStops(server)

    def assertTurnedAway(self, peer):
        try:
            self.assertEqual(receive_all(peer), b"")
        except ConnectionError:
            pass

    @staticmethod
    def isServed(peer):
        try:
            peer.sendall(b"?")
            return receive_exactly(peer, 1) == b"?"
        except (ConnectionError, AssertionError):
            return False


if __name__ == "__main__":
    example.main()
