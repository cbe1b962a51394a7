"""socks4a: requests whole and in pieces, by address and by name, granted and refused."""

import socket
import struct

import example
from example import ANY_PORT, LOOPBACK, receive_all, receive_exactly

CONNECT, BIND = 1, 2
GRANTED, REFUSED = 90, 91


def request(address, host=None, command=CONNECT, version=4):
    """For the port of the address, at its host or at the one that is named."""
    ip, port = address.rsplit(":", 1)
    quad = socket.inet_aton(ip if host is None else "0.0.0.7")
    name = b"" if host is None else host.encode() + b"\0"
    return struct.pack("!BBH", version, command, int(port)) + quad + b"somebody\0" + name


class Socks4aTest(example.ExampleTest):
    def setUp(self):
        self.server = self.start("echo", ANY_PORT)
        self.proxy = self.start("socks4a", ANY_PORT)

    def ask(self, *pieces):
        peer = self.connect(self.proxy)
        for piece in pieces:
            peer.sendall(piece)
        return peer

    def assertAnswer(self, peer, code):
        answer = receive_exactly(peer, 8)
        self.assertEqual((answer[0], answer[1]), (0, code))

    def assertTunnel(self, peer):
        self.assertAnswer(peer, GRANTED)
        self.assertEchoes(peer, bytes(range(256)) * 1024)

    def assertRefused(self, peer):
        self.assertAnswer(peer, REFUSED)
        self.assertEnds(peer)

    def test_by_address_and_by_name(self):
        self.assertTunnel(self.ask(request(self.server.address)))
        self.assertTunnel(self.ask(request(self.server.address, host="localhost")))
        self.assertTunnel(self.ask(request(self.server.address, host=LOOPBACK)))
        self.assertStops(self.proxy)

    def test_a_request_may_come_byte_by_byte_and_with_what_follows_it(self):
        whole = request(self.server.address, host="localhost")
        peer = self.connect(self.proxy)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in whole:
            peer.send(bytes([byte]))
        self.assertTunnel(peer)
        eager = b"do not wait" * 10_000
        peer = self.ask(whole + eager)
        self.assertAnswer(peer, GRANTED)
        self.assertEqual(receive_exactly(peer, len(eager)), eager)
        self.assertStops(self.proxy)

    def test_a_client_that_asks_and_ends_its_side_gets_all_of_the_answer(self):
        peer = self.ask(request(self.server.address), b"last words")
        peer.shutdown(socket.SHUT_WR)
        self.assertAnswer(peer, GRANTED)
        self.assertEqual(receive_all(peer), b"last words")
        self.assertStops(self.proxy)

    def test_what_cannot_be_reached_or_resolved_is_refused(self):
        holder, nobody = example.closed_port()
        self.keep(holder)
        self.assertRefused(self.ask(request(nobody)))
        self.assertRefused(self.ask(request(nobody, host="localhost")))
        self.assertRefused(self.ask(request(nobody, host="a" * 64 + ".example")))
        self.assertTunnel(self.ask(request(self.server.address)))
        self.assertStops(self.proxy)

    def test_what_is_no_request_is_refused(self):
        for wrong in (request(self.server.address, version=5),
                      request(self.server.address, command=BIND),
                      b"GET / HTTP/1.0\r\n\r\n",
                      request(self.server.address)[:-1] + b"x" * 2000):
            self.assertRefused(self.ask(wrong))
        self.assertStops(self.proxy)

    def test_a_client_that_ends_in_the_middle_of_its_request_is_let_go(self):
        peer = self.ask(request(self.server.address)[:5])
        peer.shutdown(socket.SHUT_WR)
        self.assertEnds(peer)
        self.assertStops(self.proxy)

    def test_it_ends_in_good_order_with_tunnels_open_and_requests_under_way(self):
        peers = [self.ask(request(self.server.address, host="localhost")) for _ in range(10)]
        self.assertAnswer(peers[0], GRANTED)
        self.assertStops(self.proxy)


if __name__ == "__main__":
    example.main()
