"""multi_process_echo: who serves, who is replaced, and that nobody is left behind."""

import os
import pathlib
import signal

import example
from children import await_that
from example import ANY_PORT, receive_exactly

SETUP = 1


class MultiProcessEchoTest(example.ExampleTest):
    PROCESSES = 3

    def setUp(self):
        self.parent = self.start("multi_process_echo", ANY_PORT, str(self.PROCESSES))
        self.addCleanup(self.end_children)
        self.await_all_serving()

    def children(self):
        pid = self.parent.process.pid
        listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in listed.read_text(encoding="ascii").split()]

    def end_children(self):
        for child in self.seen:
            try:
                if self.belongs(child):
                    os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @staticmethod
    def belongs(child):
        try:
            name = pathlib.Path(f"/proc/{child}/comm").read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        return name.startswith("multi_process")

    @staticmethod
    def sockets(child):
        """How many a child has open: its listener, and one for each client."""
        links = pathlib.Path(f"/proc/{child}/fd")
        count = 0
        for link in links.iterdir():
            try:
                count += os.readlink(link).startswith("socket:")
            except FileNotFoundError:
                pass
        return count

    def await_all_serving(self):
        """Each child looks for signals, which is the last but one that it sets up."""
        def signalled(child):
            links = pathlib.Path(f"/proc/{child}/fd").iterdir()
            return any("signalfd" in os.readlink(link) for link in links)

        def all_are():
            try:
                found = self.children()
                return len(found) == self.PROCESSES and all(map(signalled, found))
            except FileNotFoundError:
                return False

        await_that(all_are, "a full number of children")
        self.seen = getattr(self, "seen", set()) | set(self.children())

    def test_clients_are_served_and_the_end_leaves_nobody_behind(self):
        peers = [self.connect(self.parent) for _ in range(20)]
        for peer in peers:
            self.assertEchoes(peer)
        held = sum(self.sockets(child) - 1 for child in self.children())
        self.assertEqual(held, len(peers))
        self.assertStops(self.parent)
        for child in self.seen:
            self.assertFalse(self.belongs(child), child)
        for peer in peers:
            self.assertEnds(peer)

    def test_a_child_that_crashes_takes_only_its_own_clients_and_is_replaced(self):
        peers = [self.connect(self.parent) for _ in range(30)]
        for peer in peers:
            self.assertEchoes(peer)
        before = self.children()
        victim = max(before, key=self.sockets)
        lost = self.sockets(victim) - 1
        os.kill(victim, signal.SIGKILL)
        await_that(lambda: victim not in self.children(), "the end of the child")
        self.await_all_serving()
        self.assertEqual(len(set(self.children()) - set(before)), 1)
        alive = sum(map(self.answers, peers))
        self.assertEqual(alive, len(peers) - lost)
        for _ in range(10):
            self.assertEchoes(self.connect(self.parent))
        self.assertStops(self.parent)

    @staticmethod
    def answers(peer):
        try:
            peer.sendall(b"?")
            return receive_exactly(peer, 1) == b"?"
        except (ConnectionError, AssertionError):
            return False

    def test_when_every_child_is_replaced_the_listener_is_still_the_same(self):
        old = set(self.children())
        for child in old:
            os.kill(child, signal.SIGKILL)
        await_that(lambda: not any(map(self.belongs, old)), "the end of the old ones")
        peer = self.connect(self.parent)  # waits in the backlog until somebody is there
        self.assertEchoes(peer)
        self.await_all_serving()
        self.assertStops(self.parent, signal.SIGINT)

    def test_children_do_not_outlive_a_parent_that_is_killed(self):
        self.parent.process.kill()
        self.parent.process.wait()  # its output stays open while a child lives
        await_that(lambda: not any(map(self.belongs, self.seen)), "the end of all children")

    def test_an_address_in_use_is_said_with_the_cause(self):
        self.assertFails(example.run("multi_process_echo", self.parent.address), SETUP,
                         self.parent.address, "in use")
        self.assertStops(self.parent)


if __name__ == "__main__":
    example.main()
