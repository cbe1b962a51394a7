"""Each system call of the set-up fails in turn: the server works all the same, or says why not."""

import re
import shutil
import tempfile

import children
from children import Server

WORKS, FAILS, EPOLL = "works", "fails", "works on epoll"


@children.unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class FaultsTest(children.ProgramTest):
    def setUp(self):
        self.requireUring()

    def inject(self, call, error, when):
        """The prefix of a command whose calls fail so. `when` counts by thread."""
        self.trace = self.enterContext(tempfile.NamedTemporaryFile("r"))
        return ["strace", "-D", "-f", "-qq", "-o", self.trace.name, "-e", f"trace={call}",
                "-e", f"inject={call}:error={error}:when={when}"]

    def injected(self):
        self.trace.seek(0)
        return self.trace.read().count("(INJECTED)")

    def assertSurvives(self, server):
        """What it came to: WORKS, EPOLL, or FAILS with one line."""
        try:
            server.await_listening()
        except AssertionError:
            outcome = server.end_by(None)
            self.assertFails(outcome, 1)
            return FAILS, outcome
        self.assertServes(server, clients=3)
        works = EPOLL if server.engine == "epoll" else WORKS
        outcome = server.end_by()
        self.assertEqual(outcome.status, 0, outcome)
        # Where the log's own thread or memory was what failed, it says so.
        unexpected = [line for line in outcome.complaints if "messages are lost" not in line]
        self.assertEqual(unexpected, [], outcome)
        return works, outcome

    def try_out(self, call, error, when=1, engine="auto", threads=1):
        prefix = self.inject(call, error, when)
        with Server("--threads", str(threads), "--engine", engine, prefix=prefix,
                    awaits=False) as server:
            came_to, outcome = self.assertSurvives(server)
        children.await_that(self.injected, f"the fault {call} {error} {when}")
        return came_to, outcome

    def assertComesTo(self, expected, *words, **fault):
        with self.subTest(**fault):
            came_to, outcome = self.try_out(**fault)
            self.assertEqual(came_to, expected, outcome)
            for word in words:
                self.assertIn(word, outcome.err)


class RingFaultsTest(FaultsTest):
    def test_a_ring_that_is_refused_once_for_its_flags_is_asked_for_without_them(self):
        for when in (1, 2):
            self.assertComesTo(WORKS, call="io_uring_setup", error="EINVAL", when=when, threads=0)

    def test_a_ring_for_which_there_is_no_memory_once_is_asked_for_again(self):
        for engine in ("auto", "uring"):
            for when in (1, 2):
                self.assertComesTo(WORKS, call="io_uring_setup", error="ENOMEM", when=when,
                                   engine=engine)

    def test_the_doctor_asks_again_too(self):
        outcome = children.run("doctor", prefix=self.inject("io_uring_setup", "ENOMEM", 1))
        self.assertEqual(outcome.status, 0, outcome)
        self.assertIn("engine auto: uring", outcome.out)

    def test_a_ring_for_which_there_is_never_memory_fails_and_never_becomes_epoll(self):
        self.assertComesTo(FAILS, "RLIMIT_MEMLOCK", call="io_uring_setup", error="ENOMEM",
                           when="1+")

    def test_a_kernel_that_refuses_io_uring_becomes_epoll_unless_it_was_asked_for(self):
        for error, cause in (("EPERM", "refuses io_uring"), ("ENOSYS", "has no io_uring"),
                             ("EINVAL", "6.1 or newer")):
            self.assertComesTo(EPOLL, cause, call="io_uring_setup", error=error, when="1+")
            self.assertComesTo(FAILS, cause, call="io_uring_setup", error=error, when="1+",
                               engine="uring")

    def test_a_ring_that_is_refused_after_the_first_fails_with_the_cause(self):
        self.assertComesTo(FAILS, "refuses io_uring", call="io_uring_setup", error="EPERM",
                           when="2+")

    def test_no_descriptor_for_a_ring_fails_with_the_cure(self):
        for when in (1, 2):
            self.assertComesTo(FAILS, "RLIMIT_NOFILE", call="io_uring_setup", error="EMFILE",
                               when=when)

    def test_each_registration_may_be_refused(self):
        # The ring's own descriptor, receive buffers, the probe; then the first ring in use.
        for when, expected in ((1, WORKS), (2, EPOLL), (3, EPOLL), (4, WORKS), (5, WORKS)):
            self.assertComesTo(expected, call="io_uring_register", error="EINVAL", when=when)


class MemoryFaultsTest(FaultsTest):
    def mappings_before_the_first_ring(self):
        with tempfile.NamedTemporaryFile("r") as trace:
            prefix = ["strace", "-qq", "-o", trace.name, "-e", "trace=mmap,io_uring_setup"]
            self.assertEqual(children.run("doctor", prefix=prefix).status, 0)
            before, ring, _ = trace.read().partition("io_uring_setup(")
            self.assertTrue(ring)
        return len(re.findall(r"^mmap\(", before, re.MULTILINE))

    def assertServes(self, server, clients):
        # Without memory for the loop's receive buffers the one client is reset, and nothing else.
        try:
            super().assertServes(server, clients)
        except ConnectionResetError:
            super().assertServes(server, clients)

    def test_each_mapping_of_a_ring_may_find_no_memory(self):
        before = self.mappings_before_the_first_ring()
        outcomes = []
        for when in range(before + 1, before + 10):
            with self.subTest(mapping=when - before):
                outcomes.append(self.try_out("mmap", "ENOMEM", when, threads=0)[0])
        self.assertNotIn(EPOLL, outcomes)


class EnterFaultsTest(FaultsTest):
    def assertEchoesExactly(self, error, when):
        with self.subTest(error=error, when=when):
            prefix = self.inject("io_uring_enter", error, when)
            with Server("--threads", "0", "--engine", "uring", prefix=prefix) as server:
                with server.connect() as peer:
                    for i in range(200):
                        self.assertEchoes(peer, f"message {i} {'x' * i}".encode())
                self.assertStops(server)
            children.await_that(self.injected, f"the fault {error}")

    def test_a_wait_that_is_interrupted_or_short_of_something_is_waited_again(self):
        for error in ("EINTR", "EAGAIN", "EBUSY", "ENOMEM"):
            self.assertEchoesExactly(error, "5+3")

    def test_what_the_kernel_refuses_to_wait_with_is_done_without(self):
        self.assertEchoesExactly("EINVAL", "5")


class SocketFaultsTest(FaultsTest):
    def test_whatever_fails_on_the_way_to_listening_is_named(self):
        cases = (("socket", "EMFILE", "RLIMIT_NOFILE"), ("socket", "ENOBUFS", "short of memory"),
                 ("socket", "EAFNOSUPPORT", "address family"), ("bind", "EACCES", "CAP_NET_BIND"),
                 ("bind", "EADDRNOTAVAIL", "no interface"), ("bind", "EADDRINUSE", "port"),
                 ("listen", "EADDRINUSE", "another process"), ("listen", "ENOBUFS", "memory"))
        for call, error, cause in cases:
            self.assertComesTo(FAILS, "cannot listen on 127.0.0.1:0", cause, call=call,
                               error=error)

    def test_options_of_a_socket_that_are_refused_do_not_matter(self):
        self.assertComesTo(WORKS, call="setsockopt", error="ENOPROTOOPT", when="1+")

    def test_no_eventfd_fails_with_the_cure(self):
        for engine in ("uring", "epoll"):
            self.assertComesTo(FAILS, "RLIMIT_NOFILE", call="eventfd2", error="EMFILE",
                               engine=engine)

            self.assertComesTo(FAILS, "short of memory", call="eventfd2", error="ENOMEM",
                               engine=engine)

    def test_epoll_that_watches_no_more_fails_with_the_cure(self):
        for error, cure in (("ENOSPC", "max_user_watches"), ("ENOMEM", "short of memory")):
            self.assertComesTo(FAILS, cure, call="epoll_ctl", error=error, engine="epoll")

    def test_a_listener_that_cannot_tell_its_address_has_the_one_it_was_given(self):
        with children.public_folder() as folder:
            listen = f"unix:{folder}/echo"
            with Server("--threads", "0", listen=listen,
                        prefix=self.inject("getsockname", "ENOBUFS", 1)) as server:
                self.assertEqual(server.address, listen)
                self.assertServes(server)
                self.assertStops(server)

    def test_no_epoll_fails_with_the_cure(self):
        self.assertComesTo(FAILS, "epoll", call="epoll_create1", error="EMFILE", engine="epoll")
        self.assertComesTo(FAILS, "epoll", call="epoll_create1", error="ENOMEM", engine="epoll")

    def test_no_signalfd_and_no_thread_fail_with_the_cause(self):
        self.assertComesTo(FAILS, "signals", call="signalfd4", error="EMFILE")
        self.assertComesTo(FAILS, call="clone3", error="EAGAIN", when=2, threads=2)


class SignalAtStartTest(FaultsTest):
    def test_a_signal_at_any_step_of_the_start_stops_the_server_with_status_0(self):
        steps = ("io_uring_setup:1", "io_uring_setup:2", "signalfd4:1", "socket:1", "listen:1",
                 "getsockname:1")
        for number in ("SIGTERM", "SIGINT"):
            for step in steps:
                call, when = step.split(":")
                prefix = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                          "-e", f"inject={call}:signal={number}:when={when}"]
                with self.subTest(number=number, step=step), \
                        Server("--threads", "0", prefix=prefix, awaits=False) as server:
                    outcome = server.end_by(None)
                    self.assertEqual((outcome.status, outcome.complaints), (0, []), outcome)
                    self.assertIn("listening on", outcome.out)


if __name__ == "__main__":
    children.main()
