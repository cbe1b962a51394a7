"""The small services: echo, discard, chargen, daytime; and how every example starts and ends."""

import datetime
import select
import signal
import socket
import threading

import example
from example import ANY_PORT, children, receive_all, receive_exactly

USAGE, SETUP = 2, 1


class EchoTest(example.ExampleTest):
    def test_every_byte_comes_back_and_then_the_end(self):
        server = self.start("echo", ANY_PORT)
        peer = self.connect(server)
        data = bytes(range(256)) * 4096

        def push():
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)

        pusher = threading.Thread(target=push)
        pusher.start()
        self.assertEqual(receive_all(peer), data)
        pusher.join()
        self.assertStops(server)

    def test_a_client_that_never_reads_is_not_read_either(self):
        server = self.start("echo", ANY_PORT)
        greedy = self.connect(server, ((socket.SO_RCVBUF, 16384),))
        greedy.setblocking(False)
        pushed, chunk, most = 0, bytes(65536), 64 * 1024 * 1024
        while pushed < most and select.select([], [greedy], [], 0.3)[1]:
            pushed += greedy.send(chunk)
        self.assertLess(pushed, most)
        self.assertEchoes(self.connect(server))  # others are served meanwhile
        self.assertStops(server)


class DiscardTest(example.ExampleTest):
    def test_it_says_nothing_to_the_client_and_afterwards_how_much_came(self):
        server = self.start("discard", ANY_PORT)
        peer = self.connect(server)
        host, port = peer.getsockname()
        peer.sendall(bytes(1_234_567))
        peer.shutdown(socket.SHUT_WR)
        self.assertEnds(peer)
        server.await_line(f"{host}:{port} sent 1234567 bytes")
        self.assertStops(server)


class ChargenTest(example.ExampleTest):
    LINES, WIDTH = 95, 72

    def expected(self, size):
        printable = bytes(range(32, 127)) * 2
        period = b"".join(printable[n:n + self.WIDTH] + b"\r\n" for n in range(self.LINES))
        return (period * (size // len(period) + 1))[:size]

    def test_the_pattern_goes_on_for_as_long_as_it_is_read(self):
        server = self.start("chargen", ANY_PORT)
        size = 3_000_001
        for _ in range(2):
            with server.connect() as peer:
                self.assertEqual(receive_exactly(peer, size), self.expected(size))
        self.assertStops(server)

    def test_clients_that_do_not_read_cost_next_to_nothing(self):
        server = self.start("chargen", ANY_PORT)
        peers = [self.connect(server, ((socket.SO_RCVBUF, 4096),)) for _ in range(100)]
        size = 400_000
        with server.connect() as reader:
            self.assertEqual(receive_exactly(reader, size), self.expected(size))
        self.assertEqual(receive_exactly(peers[50], size), self.expected(size))
        self.assertLess(server.memory(), 48 * 1024 * 1024)
        self.assertStops(server)


class DaytimeTest(example.ExampleTest):
    def test_one_line_with_the_time_of_day_and_then_the_end(self):
        server = self.start("daytime", ANY_PORT)
        with server.connect() as peer:
            peer.sendall(b"what time is it?")
            line = receive_all(peer).decode()
        said = datetime.datetime.strptime(line, "%Y-%m-%d %H:%M:%S UTC\r\n")
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.assertLess(abs((now - said).total_seconds()), 60)
        self.assertStops(server)


class StartAndEndTest(example.ExampleTest):
    SERVERS = {"echo": (), "discard": (), "chargen": (), "daytime": (), "chat": (), "hub": (),
               "file_transfer": (__file__,), "pingpong_server": (), "relay": (ANY_PORT,),
               "socks4a": (), "idle": (), "max_connections": ()}

    def test_each_ends_in_good_order_on_sigint_with_clients_connected(self):
        for name, args in self.SERVERS.items():
            with self.subTest(name=name):
                server = self.start(name, *args, ANY_PORT)
                self.connect(server)
                self.assertStops(server, signal.SIGINT)

    def test_each_serves_and_ends_while_nobody_reads_its_output(self):
        with children.public_folder() as folder, children.full_pipe() as pipe:
            for name, args in self.SERVERS.items():
                with self.subTest(name=name):
                    path = folder / name
                    child = children.Child([example.FOLDER / name, *args, f"unix:{path}"],
                                           stdout=pipe, preexec_fn=example.take_two_cpus)
                    self.addCleanup(child.close)
                    children.await_that(path.exists, "the socket")
                    self.keep(children.connect(f"unix:{path}")).close()
                    child.process.send_signal(signal.SIGTERM)
                    self.assertEqual(child.process.wait(timeout=children.PATIENCE), 0)

    def test_what_is_no_address_is_refused_with_the_usage(self):
        for name, args in self.SERVERS.items():
            with self.subTest(name=name):
                self.assertFails(example.run(name, *args, "nowhere"), USAGE, "nowhere",
                                 f"usage: {name}", "[HOST:PORT]")

    def test_too_many_arguments_and_too_few_are_refused(self):
        self.assertFails(example.run("echo", ANY_PORT, "2"), USAGE, "too many", "usage: echo")
        self.assertFails(example.run("file_transfer"), USAGE, "missing", "usage: file_transfer")
        self.assertFails(example.run("pingpong_server", ANY_PORT, "0"), USAGE, "1 to", "'0'")

    def test_an_address_in_use_is_said_with_the_cause(self):
        taken = self.start("echo", ANY_PORT)
        for name, args in self.SERVERS.items():
            with self.subTest(name=name):
                self.assertFails(example.run(name, *args, taken.address), SETUP, taken.address,
                                 "in use")
        self.assertStops(taken)


if __name__ == "__main__":
    example.main()
