"""Little of what is limited: locked memory, descriptors."""

import resource

import children
from children import Server

KIB = 1024


def unprivileged(which, limit):
    """For preexec_fn. Only what has no privilege is bound by its limit of locked memory."""

    def apply():
        resource.setrlimit(which, (limit, limit))
        children.become_nobody()

    return apply


class LockedMemoryTest(children.ProgramTest):
    def setUp(self):
        self.requireUring()
        self.program = self.enterContext(children.public_program())

    def surroundings(self, limit):
        return {"program": self.program,
                "preexec_fn": unprivileged(resource.RLIMIT_MEMLOCK, limit)}

    def serve(self, limit, threads=4):
        """The log of a server that has echoed on every loop."""
        with Server("--threads", str(threads), "--engine", "uring",
                    **self.surroundings(limit)) as server:
            self.assertServes(server, clients=2 * threads)
            return self.assertStops(server).log

    def test_8_mib_are_enough_for_rings_of_full_size(self):
        self.assertFalse([line for line in self.serve(8192 * KIB) if "shrink" in line])

    def test_with_less_the_rings_of_all_loops_shrink_alike_and_the_log_says_so_once(self):
        for limit in (1024, 256):
            with self.subTest(kib=limit):
                log = self.serve(limit * KIB)
                shrunk = [line for line in log if "rings shrink" in line]
                self.assertEqual(len(shrunk), 1, log)
                self.assertIn(f"RLIMIT_MEMLOCK is {limit} KiB", shrunk[0])
                self.assertFalse([line for line in log if "no memory for a ring" in line], log)

    def test_64_threads_fit_into_8_mib(self):
        log = self.serve(8192 * KIB, threads=64)
        self.assertEqual(sum("rings shrink" in line for line in log), 1, log)

    def test_with_next_to_nothing_the_doctor_says_of_auto_what_a_server_would_meet(self):
        for limit in (0, 16):
            with self.subTest(kib=limit):
                outcome = children.run("doctor", **self.surroundings(limit * KIB))
                self.assertEqual(outcome.status, 1, outcome)
                auto = next(line for line in outcome.out.splitlines() if "engine auto" in line)
                self.assertTrue(auto.startswith("engine auto: none: io_uring "), auto)
                self.assertIn("RLIMIT_MEMLOCK", auto)

    def test_with_next_to_nothing_the_limit_is_named_with_the_cure(self):
        for limit in (0, 16):
            for engine in ("uring", "auto"):
                with self.subTest(kib=limit, engine=engine):
                    outcome = children.run("echo", "--listen", "127.0.0.1:0", "--threads", "4",
                                           "--engine", engine, **self.surroundings(limit * KIB))
                    self.assertFails(outcome, 1, "RLIMIT_MEMLOCK", "ulimit -l")

    def test_doctor_names_the_limit(self):
        outcome = children.run("doctor", **self.surroundings(16 * KIB))
        self.assertEqual((outcome.status, outcome.complaints), (1, []), outcome)
        self.assertIn("engine uring: not usable: RLIMIT_MEMLOCK", outcome.out)
        self.assertIn("limit memlock: 16384 (hard 16384)", outcome.out)


class DescriptorsTest(children.ProgramTest):
    CLIENTS = 100

    def limit(self, count):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    def assertTooFew(self, engine, count, *words):
        with self.subTest(engine=engine, count=count):
            outcome = children.run("echo", "--listen", "127.0.0.1:0", "--engine", engine,
                                   "--threads", "4", preexec_fn=self.limit(count))
            self.assertFails(outcome, 1, "Too many open files", *words)

    def test_too_few_to_start_with_are_named_with_the_cure(self):
        for engine in ("uring", "epoll"):
            for count in (4, 6, 7, 8):
                self.assertTooFew(engine, count, "RLIMIT_NOFILE")

    def test_one_too_few_for_the_watch_for_signals_is_named(self):
        for count in range(4, 10):
            self.assertTooFew("epoll", count)

    def assertServesInTurn(self, engine):
        with Server("--threads", "2", "--engine", engine, preexec_fn=self.limit(64)) as server:
            waiting = [server.connect() for _ in range(self.CLIENTS)]
            for peer in waiting:
                peer.sendall(b"ping")
            # In the order in which they came. Whoever closes makes room for the next.
            for peer in waiting:
                self.assertEqual(children.receive_exactly(peer, 4), b"ping")
                peer.close()
            self.assertServes(server, clients=3)
            self.assertStops(server)

    def test_more_clients_than_descriptors_are_served_in_turn_on_uring(self):
        self.requireUring()
        self.assertServesInTurn("uring")

    def test_more_clients_than_descriptors_are_served_in_turn_on_epoll(self):
        self.assertServesInTurn("epoll")

    def test_those_that_are_served_stay_served_while_others_wait(self):
        with Server("--threads", "1", preexec_fn=self.limit(64)) as server:
            peers = [server.connect() for _ in range(self.CLIENTS)]
            for _ in range(20):
                for peer in peers[:20]:
                    self.assertEchoes(peer)
            for peer in peers:
                peer.close()
            self.assertServes(server)
            self.assertStops(server)


if __name__ == "__main__":
    children.main()
