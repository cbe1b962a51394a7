"""gyre echo: listens, sends back, and stops when it is told to."""

import os
import selectors
import signal
import socket

import children
from children import Server

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class EchoTest(children.ProgramTest):
    def test_it_says_where_it_listens_and_echoes_to_the_last_byte_after_a_half_close(self):
        data = os.urandom(65536)
        for threads in ("0", "1", "2"):
            with self.subTest(threads=threads), Server("--threads", threads) as server:
                self.assertRegex(server.address, r"^127\.0\.0\.1:[1-9]\d*$")
                with server.connect() as peer:
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                    self.assertEqual(children.receive_all(peer), data)
                self.assertStops(server)

    def test_ipv6_listens_and_prints_brackets(self):
        with Server("--threads", "0", listen="[::1]:0") as server:
            self.assertRegex(server.address, r"^\[::1\]:[1-9]\d*$")
            self.assertServes(server)
            self.assertStops(server)

    def test_a_name_is_listened_on_with_all_its_addresses(self):
        with Server("--threads", "0", listen="localhost:0") as server:
            first = server.out.decode().splitlines()[0]
            addresses = first.removeprefix("listening on ").split(", ")
            self.assertIn("127.0.0.1", {one.rsplit(":", 1)[0] for one in addresses})
            for address in addresses:
                host, port = address.rsplit(":", 1)
                with socket.create_connection((host.strip("[]"), int(port)), timeout=20) as peer:
                    peer.sendall(b"hello")
                    self.assertEqual(peer.recv(5), b"hello")
            self.assertStops(server)

    def test_64_threads_serve_alike(self):
        with Server("--threads", "64") as server:
            self.assertIn("64 loops", server.out.decode())
            self.assertServes(server, clients=64)
            self.assertStops(server)

    def test_one_thread_per_cpu_unless_said(self):
        with Server() as server:
            self.assertIn(f" {len(os.sched_getaffinity(0))} loops", server.out.decode())
            self.assertStops(server)

    def test_an_option_given_twice_counts_as_given_last(self):
        with Server("--threads", "2", "--threads", "1", "--engine", "uring", "--engine", "epoll",
                    "--listen", "127.0.0.2:0") as server:
            self.assertIn("engine epoll, 1 loop;", server.out.decode())
            self.assertTrue(server.address.startswith("127.0.0.2:"), server.address)
            self.assertStops(server)


class UnixSocketTest(children.ProgramTest):
    def test_a_path_is_listened_on_and_gone_after_the_end(self):
        with children.public_folder() as folder:
            path = folder / "echo.sock"
            with Server("--threads", "1", listen=f"unix:{path}") as server:
                self.assertEqual(server.address, f"unix:{path}")
                self.assertIn(f"try: nc -U {path}\n", server.out.decode())
                self.assertServes(server)
                self.assertStops(server)
            self.assertFalse(path.exists())

    def test_an_abstract_name_is_listened_on(self):
        name = f"unix:@gyre-program-test-{os.getpid()}"
        with Server("--threads", "0", listen=name) as server:
            self.assertEqual(server.address, name)
            self.assertServes(server)
            self.assertStops(server)

    def test_a_path_that_cannot_be_bound_fails_with_the_cure(self):
        with children.public_folder() as folder:
            taken = folder / "taken"
            taken.touch()
            self.assertFails(children.run("echo", "--listen", f"unix:{taken}"), 1, str(taken),
                             "remove it")
            self.assertTrue(taken.exists())
            self.assertFails(children.run("echo", "--listen", f"unix:{folder}/none/a.sock"), 1,
                             "directory", "does not exist")

    def test_a_path_without_permission_fails_with_the_cause(self):
        with children.public_folder() as folder, children.public_program() as program:
            folder.chmod(0o555)
            outcome = children.run("echo", "--listen", f"unix:{folder}/a.sock", program=program,
                                   preexec_fn=children.become_nobody)
            self.assertFails(outcome, 1, "no permission in that directory")


class SignalTest(children.ProgramTest):
    def test_sigterm_and_sigint_stop_it_with_status_0(self):
        for number in SIGNALS:
            for threads in ("0", "2"):
                with self.subTest(number=number, threads=threads), \
                        Server("--threads", threads) as server, server.connect() as peer:
                    self.assertEchoes(peer)
                    self.assertStops(server, number)
                    self.assertEqual(peer.recv(1), b"")

    def test_a_signal_sent_twice_stops_it_once(self):
        for number in SIGNALS:
            with self.subTest(number=number), Server("--threads", "1") as server:
                server.process.send_signal(number)
                self.assertStops(server, number)

    def test_a_signal_from_before_the_start_stops_it_after_the_start(self):
        def block():
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            os.kill(os.getpid(), number)

        for number in SIGNALS:
            with self.subTest(number=number), Server(awaits=False, preexec_fn=block) as server:
                outcome = server.end_by(None)
                self.assertEqual(outcome.status, 0, outcome)
                self.assertIn("listening on", outcome.out)

    def test_sigterm_stops_it_though_clients_never_read_their_echo(self):
        with Server("--threads", "1") as server, server.connect() as peer:
            peer.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                while True:
                    peer.sendall(bytes(65536))
            self.assertStops(server)

    def test_sigterm_in_a_burst_of_50_clients_ends_every_one_and_exits_0(self):
        with Server("--threads", "2") as server, children.Burst(server, 50) as burst:
            burst.pump(lambda: burst.echoes >= 500)
            server.process.send_signal(signal.SIGTERM)
            burst.pump(lambda: burst.open == 0)
            self.assertStops(server, None)


class GreedyClientsTest(children.ProgramTest):
    CLIENTS = 100
    # Small, so that little is in the kernel and the server's own limit is what stops them.
    OPTIONS = ((socket.SO_SNDBUF, 65536), (socket.SO_RCVBUF, 16384))

    def push_until_still(self, peers):
        selector = selectors.DefaultSelector()
        sent = dict.fromkeys(peers, 0)
        for peer in peers:
            peer.setblocking(False)
            selector.register(peer, selectors.EVENT_WRITE)
        chunk = bytes(65536)
        while ready := selector.select(1):
            for key, _ in ready:
                try:
                    sent[key.fileobj] += key.fileobj.send(chunk)
                except BlockingIOError:
                    pass
        selector.close()
        return sent

    def test_100_clients_that_push_and_never_read_cost_less_than_100_mb(self):
        with Server("--threads", "2") as server:
            peers = [server.connect(self.OPTIONS) for _ in range(self.CLIENTS)]
            try:
                sent = self.push_until_still(peers)
                with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
                    peak = next(line for line in status if line.startswith("VmHWM:"))
                self.assertLess(int(peak.split()[1]), 100 * 1024, peak)
                self.assertGreater(min(sent.values()), 0)
                self.assertServes(server)  # others are served meanwhile
                for peer in peers[:2]:  # and whoever reads at last misses nothing
                    peer.settimeout(children.PATIENCE)
                    self.assertEqual(len(children.receive_exactly(peer, sent[peer])), sent[peer])
            finally:
                for peer in peers:
                    peer.close()
            self.assertStops(server)


if __name__ == "__main__":
    children.main()
