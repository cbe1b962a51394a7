"""chat and hub: who hears what, in which order, and who is dropped."""

import socket
import struct

import example
from example import ANY_PORT, receive_all, receive_exactly


class Guest:
    """Speaks frames with a length of four bytes in front."""

    def __init__(self, peer):
        self.peer = peer

    def say(self, *texts):
        """All of them in one go."""
        frames = [struct.pack("!I", len(text)) + text.encode() for text in texts]
        self.peer.sendall(b"".join(frames))

    def hear(self):
        (size,) = struct.unpack("!I", receive_exactly(self.peer, 4))
        return receive_exactly(self.peer, size).decode()


class ChatTest(example.ExampleTest):
    def enter(self, server, room):
        """The guest, and the name it was given."""
        guest = Guest(self.connect(server))
        guest.say(f"/join {room}")
        name, _, rest = guest.hear().partition(" ")
        self.assertEqual(rest, f"has joined {room}")
        return guest, name

    def test_all_in_a_room_hear_it_and_nobody_else(self):
        server = self.start("chat", ANY_PORT)
        ann, ann_name = self.enter(server, "red")
        bob, bob_name = self.enter(server, "red")
        eve, eve_name = self.enter(server, "blue")
        self.assertEqual(ann.hear(), f"{bob_name} has joined red")
        ann.say("hello")
        self.assertEqual(ann.hear(), f"{ann_name}: hello")
        self.assertEqual(bob.hear(), f"{ann_name}: hello")
        eve.say("alone")  # the first she hears is her own
        self.assertEqual(eve.hear(), f"{eve_name}: alone")
        bob.say("/join blue")
        self.assertEqual(eve.hear(), f"{bob_name} has joined blue")
        self.assertEqual(ann.hear(), f"{bob_name} has left")
        self.assertEqual(bob.hear(), f"{bob_name} has joined blue")
        bob.peer.close()
        self.assertEqual(eve.hear(), f"{bob_name} has left")
        self.assertStops(server)

    def test_messages_of_many_come_to_all_in_the_same_order(self):
        server = self.start("chat", ANY_PORT)
        guests = []
        for _ in range(6):
            guest, _ = self.enter(server, "hall")
            for other in guests:
                other.hear()
            guests.append(guest)
        for guest in guests:
            guest.say(*map(str, range(500)))  # at the same time, on all loops
        heard = [[guest.hear() for _ in range(3000)] for guest in guests]
        for other in heard[1:]:
            self.assertEqual(other, heard[0])
        self.assertStops(server)

    def test_who_is_in_no_room_is_told_what_to_do(self):
        server = self.start("chat", ANY_PORT)
        guest = Guest(self.connect(server))
        guest.say("anybody?")
        self.assertEqual(guest.hear(), "say /join ROOM first")
        self.assertStops(server)

    def test_a_message_too_long_ends_only_its_sender(self):
        server = self.start("chat", ANY_PORT)
        ann, _ = self.enter(server, "red")
        bob, bob_name = self.enter(server, "red")
        ann.hear()
        bob.peer.sendall(struct.pack("!I", 4097))
        self.assertEqual(ann.hear(), f"{bob_name} has left")
        longest = "x" * 4096
        ann.say(longest)
        self.assertTrue(ann.hear().endswith(": " + longest))
        self.assertIn("the frame is too long", self.assertStops(server).err)


class HubTest(example.ExampleTest):
    def client(self, server, *topics):
        peer = self.connect(server)
        lines = peer.makefile("r", newline="\n")
        self.addCleanup(lines.close)
        for topic in topics:
            peer.sendall(f"sub {topic}\r\n".encode())
            self.assertEqual(lines.readline(), f"subscribed {topic}\n")
        return peer, lines

    def test_a_line_comes_to_the_subscribers_of_its_topic_only(self):
        server = self.start("hub", ANY_PORT)
        _, news = self.client(server, "news")
        both, both_lines = self.client(server, "news", "sport")
        publisher, _ = self.client(server)
        publisher.sendall(b"pub sport one nil\npub void nobody\npub news it is  late\n")
        self.assertEqual(both_lines.readline(), "sport one nil\n")
        self.assertEqual(both_lines.readline(), "news it is  late\n")
        self.assertEqual(news.readline(), "news it is  late\n")
        both.sendall(b"unsub news\n")
        self.assertEqual(both_lines.readline(), "unsubscribed news\n")
        publisher.sendall(b"pub news two\npub sport three\n")
        self.assertEqual(both_lines.readline(), "sport three\n")
        self.assertEqual(news.readline(), "news two\n")
        self.assertStops(server)

    def test_what_it_does_not_understand_is_said(self):
        server = self.start("hub", ANY_PORT)
        peer, lines = self.client(server)
        for wrong in (b"hello\n", b"\n", b"sub\n", b"pub \n", b"SUB x\n"):
            peer.sendall(wrong)
            self.assertTrue(lines.readline().startswith("error: "), wrong)
        self.assertStops(server)

    def test_many_publishers_and_subscribers_each_line_once_in_its_publishers_order(self):
        server = self.start("hub", ANY_PORT)
        subscribers = [self.client(server, "all")[1] for _ in range(12)]
        publishers = [self.client(server)[0] for _ in range(4)]
        for number in range(100):
            for who, publisher in enumerate(publishers):
                publisher.sendall(f"pub all {who} {number}\n".encode())
        for lines in subscribers:
            seen = {who: [] for who in range(4)}
            for _ in range(400):
                _, who, number = lines.readline().split()
                seen[int(who)].append(int(number))
            self.assertEqual(seen, {who: list(range(100)) for who in range(4)})
        self.assertStops(server)

    def test_a_subscriber_that_does_not_read_is_dropped_and_delays_nobody(self):
        server = self.start("hub", ANY_PORT)
        slow = self.connect(server, ((socket.SO_RCVBUF, 4096),))
        slow.sendall(b"sub flood\n")
        _, quick = self.client(server, "flood")
        publisher, _ = self.client(server)
        line, count = "x" * 8000, 3000  # 24 MB: beyond the limit and what the kernel takes
        for number in range(count):
            publisher.sendall(f"pub flood {number} {line}\n".encode())
            self.assertEqual(quick.readline(), f"flood {number} {line}\n")
        with self.assertRaises(ConnectionResetError):  # what was cut short has no end
            receive_all(slow)
        self.assertStops(server)

    def test_gone_subscribers_are_forgotten(self):
        server = self.start("hub", ANY_PORT)
        for _ in range(20):
            peer, _ = self.client(server, "news")
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(peer), b"")
        publisher, lines = self.client(server, "news")
        publisher.sendall(b"pub news still here\n")
        self.assertEqual(lines.readline(), "news still here\n")
        self.assertStops(server)


if __name__ == "__main__":
    example.main()
