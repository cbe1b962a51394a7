"""gyre echo as a service: draining, a successor that takes over, systemd's protocols."""

import os
import pathlib
import signal
import socket
import threading
import time

import children
from children import Server


class DrainTest(children.ProgramTest):
    def test_connections_go_on_after_sigterm_and_the_program_ends_with_the_last(self):
        with Server("--threads", "2", "--drain", "20") as server:
            with server.connect() as peer:
                peer.sendall(b"before")
                self.assertEqual(children.receive_exactly(peer, 6), b"before")
                server.process.send_signal(signal.SIGTERM)
                self.await_refusal(server)
                peer.sendall(b"after")
                self.assertEqual(children.receive_exactly(peer, 5), b"after")
                self.assertTrue(server.is_running())
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
        with Server("--threads", "1", "--drain", "3600") as server, server.connect() as peer:
            peer.sendall(b"x")
            children.receive_exactly(peer, 1)
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
                    self.await_refusal(server)
                    goal = burst.echoes + 2000
                    burst.pump(lambda: burst.echoes >= goal)
                    self.assertEqual(burst.open, 50)
                    self.assertTrue(server.is_running())
                self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)

    def await_refusal(self, server):
        host, port = server.address.rsplit(":", 1)

        def is_refused():
            with socket.socket() as late:
                return late.connect_ex((host, int(port))) != 0

        children.await_that(is_refused, "the listener is closed")


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


class SuccessionTest(children.ProgramTest):
    def successor_of(self, pid):
        """The other process with the mark of this test."""
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == pid:
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"echo" in command and f"GYRE_TEST_MARK={self.mark}".encode() in environment:
                return int(entry.name)
        return None

    def run_under_load(self, listen, before_start=None):
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        environment = {**os.environ, "GYRE_TEST_MARK": self.mark}
        successor = None
        with Server("--threads", "2", "--drain", "20", listen=listen, env=environment,
                    preexec_fn=before_start) as server:
            clients = [Client(server.address, keeps=1 + 7 * i) for i in range(8)]
            try:
                for client in clients:
                    client.start()
                time.sleep(0.2)
                server.process.send_signal(signal.SIGUSR2)
                self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)
                successor = self.successor_of(server.process.pid)
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

    def test_a_successor_that_cannot_start_changes_nothing(self):
        with children.public_folder() as folder:
            program = folder / "gyre"
            program.write_bytes(pathlib.Path(children.PROGRAM).read_bytes())
            program.chmod(0o755)
            with Server("--threads", "1", program=str(program)) as server:
                program.unlink()
                server.process.send_signal(signal.SIGUSR2)
                self.assertServes(server)

                def is_told():
                    server._err.seek(0)
                    return b"has ended before it served" in server._err.read()

                children.await_that(is_told, "word of the failure")
                self.assertServes(server)
                self.assertStops(server)


class SystemdTest(children.ProgramTest):
    def test_it_serves_the_socket_it_was_started_with(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "127.0.0.1:%d" % listener.getsockname()[1]

            wrapper = ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"]
            with InheritingServer(listener, wrapper) as server:
                self.assertEqual(server.address, address)
                self.assertServes(server)
                self.assertStops(server)

    def test_it_tells_ready_stopping_and_that_it_lives(self):
        with children.public_folder() as folder, socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            path = str(folder / "notify")
            notices.bind(path)
            notices.settimeout(children.PATIENCE)
            environment = {**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000"}
            with Server("--threads", "1", env=environment) as server:
                ready = notices.recv(4096).decode()
                self.assertIn("READY=1", ready)
                self.assertIn(f"MAINPID={server.process.pid}", ready)
                for _ in range(3):
                    self.assertEqual(notices.recv(4096), b"WATCHDOG=1")
                server.process.send_signal(signal.SIGTERM)
                told = b""
                while b"STOPPING=1" not in told:
                    told = notices.recv(4096)
                self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)


class InheritingServer(Server):
    """Started with a listening socket as descriptor 3, as systemd does."""

    def __init__(self, listener, wrapper):
        self._three = os.dup(listener.fileno())
        super().__init__("--threads", "1", prefix=wrapper, pass_fds=(),
                         preexec_fn=lambda: os.dup2(self._three, 3), close_fds=False)

    def close(self):
        super().close()
        os.close(self._three)


if __name__ == "__main__":
    children.main()
