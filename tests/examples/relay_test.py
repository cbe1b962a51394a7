"""relay: bytes, ends and pressure pass through it in both directions."""

import contextlib
import random
import select
import socket
import threading

import example
from example import ANY_PORT, LOOPBACK, receive_all, receive_exactly

USAGE = 2


class Backend:
    """A listener of the test's own, to look at the far end of a tunnel."""

    def __init__(self, test):
        self.test = test
        self.listener = test.keep(socket.create_server((LOOPBACK, 0)))
        self.listener.settimeout(example.PATIENCE)
        self.address = f"{LOOPBACK}:{self.listener.getsockname()[1]}"

    def accept(self, options=()):
        for option, value in options:  # inherited
            self.listener.setsockopt(socket.SOL_SOCKET, option, value)
        peer, _ = self.listener.accept()
        peer.settimeout(example.PATIENCE)
        return self.test.keep(peer)


def push_until_still(peer, most):
    """Sends until nobody takes any more, and returns how much that was."""
    peer.setblocking(False)
    pushed, chunk = 0, bytes(65536)
    while pushed < most and select.select([], [peer], [], 0.3)[1]:
        pushed += peer.send(chunk)
    peer.settimeout(example.PATIENCE)
    return pushed


class RelayTest(example.ExampleTest):
    def open(self, options=()):
        """The relay, and both ends of one tunnel through it."""
        backend = Backend(self)
        relay = self.start("relay", backend.address, ANY_PORT)
        front = self.connect(relay, options)
        return relay, front, backend.accept(options)

    def test_what_is_pushed_through_many_tunnels_at_once_comes_back_whole(self):
        server = self.start("echo", ANY_PORT)
        relay = self.start("relay", server.address, ANY_PORT)
        data = random.Random(9).randbytes(2_000_003)
        returned = []

        def round_trip():
            with relay.connect() as peer:
                def push():
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                pusher = threading.Thread(target=push)
                pusher.start()
                returned.append(receive_all(peer) == data)
                pusher.join()

        clients = [threading.Thread(target=round_trip) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(returned, [True] * 8)
        self.assertStops(relay)

    def test_the_end_of_one_side_is_passed_on_and_the_other_goes_on(self):
        for turned in (False, True):
            with self.subTest(turned=turned):
                relay, front, back = self.open()
                first, second = (back, front) if turned else (front, back)
                first.sendall(b"question")
                first.shutdown(socket.SHUT_WR)
                self.assertEqual(receive_all(second), b"question")
                for part in (b"a long", b" answer"):
                    second.sendall(part)
                    self.assertEqual(receive_exactly(first, len(part)), part)
                second.shutdown(socket.SHUT_WR)
                self.assertEnds(first)
                self.assertStops(relay)

    def test_who_does_not_read_holds_the_other_end_back(self):
        small = ((socket.SO_RCVBUF, 16384),)
        most = 256 * 1024 * 1024
        for turned in (False, True):
            with self.subTest(turned=turned):
                relay, front, back = self.open(small)
                sender, reader = (back, front) if turned else (front, back)
                pushed = push_until_still(sender, most)
                self.assertLess(pushed, most)
                self.assertLess(relay.memory(), 48 * 1024 * 1024)
                self.assertEqual(len(receive_exactly(reader, pushed)), pushed)
                sender.sendall(b"on it goes")
                self.assertEqual(receive_exactly(reader, 10), b"on it goes")
                self.assertStops(relay)

    def test_what_was_sent_before_the_end_arrives_though_its_reader_is_slow(self):
        relay, front, back = self.open(((socket.SO_RCVBUF, 16384),))
        back.shutdown(socket.SHUT_WR)
        self.assertEnds(front)
        pushed = push_until_still(front, 256 * 1024 * 1024)
        front.shutdown(socket.SHUT_WR)  # now the front has closed altogether
        self.assertEqual(len(receive_all(back)), pushed)
        self.assertStops(relay)

    def test_a_reset_of_one_side_resets_the_other(self):
        for turned in (False, True):
            with self.subTest(turned=turned):
                relay, front, back = self.open()
                first, second = (back, front) if turned else (front, back)
                first.sendall(b"x")
                self.assertEqual(receive_exactly(second, 1), b"x")
                first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                first.close()
                with self.assertRaises(ConnectionResetError):
                    receive_all(second)  # an end would say that nothing is missing
                self.assertStops(relay)

    def test_a_client_that_gives_up_before_the_tunnel_is_open_harms_nothing(self):
        server = self.start("echo", ANY_PORT)
        relay = self.start("relay", server.address, ANY_PORT)
        for _ in range(50):
            relay.connect().close()
        self.assertEchoes(self.connect(relay))
        self.assertStops(relay)

    def test_where_nobody_listens_the_client_is_closed_and_the_relay_serves_on(self):
        holder, address = example.closed_port()
        self.keep(holder)
        relay = self.start("relay", address, ANY_PORT)
        for _ in range(3):
            self.assertEnds(self.connect(relay))
        self.assertStops(relay)

    def test_it_ends_in_good_order_in_the_middle_of_traffic(self):
        relay, front, back = self.open()
        push_until_still(front, 4 * 1024 * 1024)
        self.assertStops(relay)
        with contextlib.suppress(ConnectionResetError):  # of what the relay had not passed on
            self.assertLess(len(receive_all(back)), 5 * 1024 * 1024)

    def test_the_target_has_to_be_named(self):
        self.assertFails(example.run("relay"), USAGE, "missing", "usage: relay TARGET")


if __name__ == "__main__":
    example.main()
