"""gyre echo as a service: draining, a successor that takes over, systemd's protocols."""

import contextlib
import os
import pathlib
import signal
import socket
import threading
import time

import children
import restart
from children import Server


class DrainTest(children.ProgramTest):
    def test_connections_go_on_after_sigterm_and_the_program_ends_with_the_last(self):
        with Server("--threads", "2", "--drain", "20") as server:
            with self.connect_slow(server) as peer:
                stuck = self.push_unread(peer)
                server.process.send_signal(signal.SIGTERM)
                self.await_refusal(server)
                self.assertTrue(server.is_running())
                self.assertEqual(children.receive_exactly(peer, len(stuck)), stuck)
                self.assertEqual(children.receive_all(peer), b"")  # a pause: the drain ends it
            self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)

    def test_the_drain_time_ends_what_stays(self):
        with Server("--threads", "1", "--drain", "0.2") as server, server.connect() as peer:
            peer.sendall(b"x")
            children.receive_exactly(peer, 1)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(children.receive_all(peer), b"")
            self.assertGreaterEqual(time.monotonic() - begin, 0.2)
            self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)

    def test_a_second_signal_stops_at_once(self):
        with Server("--threads", "1", "--drain", "3600") as server, \
                self.connect_slow(server) as peer:
            self.push_unread(peer)
            server.process.send_signal(signal.SIGTERM)
            self.await_refusal(server)
            self.assertTrue(server.is_running())
            self.assertEqual(server.end_by(signal.SIGTERM).status, 0)

    def test_sigterm_under_load_lets_every_client_go_on_to_its_own_end(self):
        for engine in ("epoll", "uring"):
            if engine == "uring":
                self.requireUring()
            with self.subTest(engine=engine), \
                    Server("--threads", "2", "--drain", "20", "--engine", engine) as server:
                with children.Burst(server, 50) as burst:
                    burst.pump(lambda: burst.echoes >= 500)
                    server.process.send_signal(signal.SIGTERM)
                    burst.pump(lambda: self.is_refused(server))
                    goal = burst.echoes + 2000
                    burst.pump(lambda: burst.echoes >= goal)
                    self.assertEqual(burst.open, 50)
                    self.assertTrue(server.is_running())
                self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)

    def connect_slow(self, server):
        return server.connect(((socket.SO_RCVBUF, 16384),))

    def push_unread(self, peer):
        """More than fits into the sockets: while the echo is not read the connection is not idle.
        What is still to come back."""
        pushed = b"0123456789abcdef" * (512 * 1024)

        def push():
            with contextlib.suppress(OSError):
                peer.sendall(pushed)

        threading.Thread(target=push, daemon=True).start()
        self.assertEqual(children.receive_exactly(peer, 16), pushed[:16])
        return pushed[16:]

    def is_refused(self, server):
        host, port = server.address.rsplit(":", 1)
        with socket.socket() as late:
            return late.connect_ex((host, int(port))) != 0

    def await_refusal(self, server):
        children.await_that(lambda: self.is_refused(server), "the listener is closed")


class Client(threading.Thread):
    """Asks and asks; when its connection has ended between two answers it connects again."""

    def __init__(self, address, keeps):
        super().__init__()
        self.address = address
        self.keeps = keeps  # requests per connection
        self.answers = 0
        self.faults = []
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.is_set():
            try:
                with children.connect(self.address) as peer:
                    self.talk(peer)
            except OSError as fault:
                self.faults.append(repr(fault))

    def talk(self, peer):
        for _ in range(self.keeps):
            peer.sendall(b"request")
            if children.receive_exactly(peer, 7) != b"request":
                self.faults.append("a wrong answer")
            self.answers += 1
            if self.is_over.is_set():
                return


class SuccessionTest(restart.RestartTest):
    def run_under_load(self, listen, before_start=None):
        successor = None
        with self.start("--threads", "2", "--drain", "20", listen=listen,
                        preexec_fn=before_start) as server:
            clients = [Client(server.address, keeps=1 + 7 * i) for i in range(8)]
            try:
                for client in clients:
                    client.start()
                time.sleep(0.2)
                successor = self.restart(server)
                before = [client.answers for client in clients]
                children.await_that(
                    lambda: all(c.answers > b for c, b in zip(clients, before)),
                    "every client is served by the new process")
                with server.connect() as peer:
                    peer.sendall(b"new here")
                    self.assertEqual(children.receive_exactly(peer, 8), b"new here")
            finally:
                for client in clients:
                    client.is_over.set()
                for client in clients:
                    client.join()
                if successor:
                    os.kill(successor, signal.SIGTERM)
                    children.await_that(lambda: not pathlib.Path(f"/proc/{successor}").exists(),
                                        "the end of the successor")
            self.assertIsNotNone(successor)
            for client in clients:
                self.assertEqual(client.faults, [])

    def test_a_tcp_listener_is_taken_over_without_one_refused_or_reset_connection(self):
        self.run_under_load("127.0.0.1:0")

    def test_a_unix_path_is_taken_over_and_stays(self):
        with children.public_folder() as folder:
            path = folder / "echo.sock"
            self.run_under_load(f"unix:{path}")

    def test_a_program_that_ignores_its_children_is_succeeded_too(self):
        self.run_under_load("127.0.0.1:0", lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))


if __name__ == "__main__":
    children.main()
