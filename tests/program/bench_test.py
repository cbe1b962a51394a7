"""gyre bench: counts what it was asked to count, says what went wrong, and hides no stall."""

import contextlib
import json
import os
import pty
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

import children
from children import Server

USAGE, FAILED = 2, 1
KINDS = {"refused", "connect_failed", "connect_timeout", "reset", "closed", "wrong_byte", "excess",
         "unanswered"}


class BenchTest(children.ProgramTest):
    def bench(self, address, *options, status=0):
        """A short run's outcome and its JSON."""
        outcome = children.run("bench", address, "--warmup", "0", "--json", *options)
        self.assertEqual(outcome.status, status, outcome)
        report = json.loads(outcome.out)
        self.assertEqual(set(report["errors"]), KINDS)
        if status == 0:
            self.assertEqual(sum(report["errors"].values()), 0, outcome)
            self.assertEqual(outcome.complaints, [])
        return outcome, report


class BenchUsageTest(BenchTest):
    def assertRejected(self, *options, words, address="127.0.0.1:1"):
        with self.subTest(options=options):
            outcome = children.run("bench", address, *options)
            self.assertFails(outcome, USAGE, "gyre bench --help", *words)
            self.assertEqual((outcome.out, outcome.log), ("", []))

    def test_a_wrong_number_is_shown_with_the_range(self):
        wrong = ("", "-1", str(2**63), str(2**64), "two", "2MB", "1.5", "0x2", " 2", "k", "+1")
        ranges = {"--connections": (*wrong, "0", "1000001"), "--depth": (*wrong, "0", "65537"),
                  "--threads": (*wrong, "0", "1025"), "--size": (*wrong, "1025m"),
                  "--reply-size": (*wrong, "1025m")}
        for option, texts in ranges.items():
            for text in texts:
                self.assertRejected(option, text, words=(option, f'"{text}"', "use "))

    def test_a_wrong_time_or_rate_is_shown_with_the_range(self):
        wrong = ("", "-1", str(2**63), "two", "2s", "1e3", "nan", "inf", "1.2.3", " 2", ".")
        ranges = {"--duration": (*wrong, "0", "86401"), "--warmup": (*wrong, "3601"),
                  "--rate": (*wrong, "0", "2000000000")}
        for option, texts in ranges.items():
            for text in texts:
                self.assertRejected(option, text, words=(option, f'"{text}"', "use "))

    def test_an_option_without_its_value_and_an_unknown_one_are_named(self):
        for option in ("--connections", "--size", "--duration", "--rate", "--engine", "--nope"):
            self.assertRejected(option, words=(option,))
        self.assertRejected("--json=3", words=("json",))
        self.assertRejected("--engine", "URING", words=("auto, uring or epoll",))

    def test_a_wrong_address_or_none_is_named(self):
        for wrong, cause in {"": "it is empty", "127.0.0.1": "the port is missing",
                             "host.example:x": "0 to 65535",
                             "1.2.3:80": "names are not resolved"}.items():
            self.assertRejected(address=wrong, words=(f'"{wrong}"', cause))
        self.assertFails(children.run("bench"), USAGE, "an address is needed", "gyre bench --help")

    def test_what_cannot_be_had_together_is_said(self):
        for options, words in {
                ("--idle", "--rate", "5"): ("exclude each other",),
                ("--idle", "--connect-per-request"): ("exclude each other",),
                ("--touch",): ("--touch is for --idle",),
                ("--size", "0", "--reply-size", "0"): ("both 0",),
                ("--count-in", "/dev/null", "--threads", "2"): ("wants one thread",),
                ("--reply-size", "0", "--rate", "5"): ("one-way",),
                ("--reply-size", "5", "--check"): ("--check compares an echo",),
                ("--connect-per-request", "--depth", "2"): ("one message",)}.items():
            self.assertRejected(*options, words=words)

    def test_the_last_of_an_option_counts(self):
        with Server("--threads", "0") as server:
            _, report = self.bench(server.address, "--connections", "9", "--connections", "2",
                                   "--duration", "0.1")
        self.assertEqual(report["connections"], 2)

    def test_more_connections_than_descriptors_is_a_cause_with_a_cure(self):
        outcome = children.run("bench", "127.0.0.1:1", "--connections", "500",
                               prefix=("prlimit", "--nofile=256:256"))
        self.assertFails(outcome, FAILED, "500 connections", "256", "ulimit")


class BenchModesTest(BenchTest):
    def assertConsistent(self, report):
        self.assertGreater(report["messages"], 0)
        rate = report["messages"] / report["seconds"]
        self.assertAlmostEqual(report["messages_per_second"] / rate, 1, places=6)
        latency = report["latency_us"]
        order = [latency[name] for name in ("min", "p50", "p90", "p99", "p99.9", "p99.99", "max")]
        self.assertEqual(order, sorted(order))
        self.assertGreater(order[0], 0)
        self.assertLessEqual(latency["max"], 2e6 * report["seconds"])

    def test_a_name_is_connected_to_where_somebody_listens(self):
        with Server("--threads", "0") as server:  # on 127.0.0.1, not on ::1
            port = server.address.rsplit(":", 1)[1]
            for name in ("localhost", "LOCALHOST.", "gyre.localhost"):
                _, report = self.bench(f"{name}:{port}", "--duration", "0.05")
                self.assertEqual(report["address"], server.address)

    def test_a_name_where_nobody_listens_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        self.assertFails(children.run("bench", f"localhost:{port}"), FAILED, f"localhost:{port}",
                         "Connection refused")

    def test_sizes_are_taken_in_any_case(self):
        with Server("--threads", "0") as server:
            for text, size in (("2k", 2048), ("2K", 2048), ("1m", 2**20), ("1M", 2**20)):
                _, report = self.bench(server.address, "--duration", "0.05", "--connections", "1",
                                       "--size", text)
                self.assertEqual(report["size"], size)

    def test_one_of_something_is_no_plural(self):
        with Server("--threads", "0") as server:
            for options in ((), ("--idle",)):
                outcome = children.run("bench", server.address, "--duration", "0.05", "--warmup",
                                       "0", "--connections", "1", *options)
                self.assertIn(": 1 connection, 1 thread,", outcome.out)
                self.assertNotRegex(outcome.out, r"\b1 [a-z]+s\b")

    def test_a_checked_closed_loop_counts_what_fits_together(self):
        for options in ((), ("--depth", "16"), ("--threads", "2"), ("--half-close",),
                        ("--size", "100k", "--depth", "3"), ("--engine", "epoll")):
            with self.subTest(options=options), Server("--threads", "1") as server:
                _, report = self.bench(server.address, "--duration", "0.3", "--connections", "10",
                                       "--check", *options)
                self.assertConsistent(report)
                self.assertEqual((report["connected"], report["open"]), (10, 10))
                owed = 10 * report["depth"] * report["size"]  # on their way at the edges
                bytes_done = report["messages"] * report["size"]
                self.assertLessEqual(abs(report["bytes_received"] - bytes_done), owed)
                self.assertLessEqual(abs(report["bytes_sent"] - bytes_done), owed)
                # Little's law: messages on their way are rate times latency.
                on_their_way = report["messages_per_second"] * report["latency_us"]["mean"] / 1e6
                self.assertLess(abs(on_their_way / (10 * report["depth"]) - 1), 0.7)
                self.assertStops(server)

    def test_an_open_loop_sends_at_its_rate_on_all_threads_together(self):
        with Server("--threads", "1") as server:
            for threads in ("1", "3"):
                _, report = self.bench(server.address, "--rate", "2000", "--connections", "7",
                                       "--threads", threads, "--duration", "0.5", "--check")
                self.assertConsistent(report)
                self.assertEqual((report["mode"], report["rate"]), ("open", 2000))
                self.assertLess(abs(report["messages"] - 2000 * report["seconds"]), 20)

    def test_a_rate_out_of_reach_ends_in_time_and_is_an_error(self):
        with Server("--threads", "1") as server:
            outcome, report = self.bench(server.address, "--rate", "1000000000", "--duration",
                                         "0.2", status=FAILED)
            self.assertGreater(report["errors"]["unanswered"], 1_000_000)
            self.assertFails(outcome, FAILED, "unanswered")
            self.assertLess(report["seconds"], 5)
            self.assertServes(server)

    def test_each_request_has_a_connection_when_asked(self):
        with Server("--threads", "1") as server:
            _, report = self.bench(server.address, "--connect-per-request", "--connections", "5",
                                   "--duration", "0.3", "--check")
            self.assertConsistent(report)
            self.assertGreaterEqual(report["connected"], report["messages"])
            self.assertLessEqual(report["connected"], report["messages"] + 500)  # at the edges
            self.assertServes(server)

    def test_idle_holds_every_connection_and_says_nothing_on_them(self):
        with Server("--threads", "1") as server:
            for options in ((), ("--touch", "--check", "--size", "4k")):
                _, report = self.bench(server.address, "--idle", "--connections", "300",
                                       "--duration", "0.1", *options)
                self.assertEqual((report["connected"], report["open"]), (300, 300))
                self.assertEqual(report["messages"], 0)

    def test_a_full_backlog_of_a_unix_socket_is_waited_for(self):
        name = f"gyre-bench-backlog-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as peers:
            listener.bind("\0" + name)
            listener.listen(0)

            def accept():
                for _ in range(20):
                    peers.enter_context(listener.accept()[0])

            for engine in ("epoll", "auto"):
                thread = threading.Thread(target=accept)
                thread.start()
                _, report = self.bench(f"unix:@{name}", "--idle", "--connections", "20",
                                       "--duration", "0.05", "--engine", engine)
                self.assertEqual((report["connected"], report["open"]), (20, 20))
                thread.join()

    def test_a_backlog_that_stays_full_costs_no_cpu(self):
        name = f"gyre-bench-full-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as peers:
            listener.bind("\0" + name)
            listener.listen(0)

            def accept_late():
                time.sleep(1.5)
                for _ in range(20):
                    peers.enter_context(listener.accept()[0])

            thread = threading.Thread(target=accept_late)
            thread.start()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.bench(f"unix:@{name}", "--idle", "--connections", "20", "--duration", "0.05")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            thread.join()
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            self.assertLess(used, 0.7, "seconds of CPU, of at least 1.5")

    def test_a_unix_socket_is_loaded_too(self):
        name = f"unix:@gyre-bench-test-{os.getpid()}"
        with Server("--threads", "0", listen=name) as server:
            _, report = self.bench(name, "--duration", "0.1", "--check")
            self.assertConsistent(report)
            self.assertStops(server)


class BenchStallTest(BenchTest):
    def test_an_open_loop_sees_a_server_that_stops_for_half_a_second(self):
        with Server("--threads", "0") as server:
            stop = threading.Timer(0.7, lambda: self.hold(server.process.pid, 0.5))
            stop.start()
            _, report = self.bench(server.address, "--rate", "1000", "--connections", "10",
                                   "--duration", "2", "--depth", "1000")
            stop.join()
        # A quarter of the messages was due while the server stood still, evenly spread.
        latency = report["latency_us"]
        self.assertLess(abs(report["messages"] - 1000 * report["seconds"]), 20)
        self.assertGreater(latency["p99.9"], 400_000)
        self.assertLess(latency["p99.9"], 1_500_000)
        self.assertGreater(latency["p90"], 150_000)
        self.assertLess(latency["p50"], 150_000)

    @staticmethod
    def hold(pid, seconds):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)


class BenchErrorsTest(BenchTest):
    def peer(self, serve):
        """A server of this test: `serve` gets each connection, in a thread of its own."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)

        def handle(connection):
            with connection, contextlib.suppress(OSError):
                serve(connection)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def assertCounts(self, address, kind, count, *options):
        outcome, report = self.bench(address, "--connections", "2", "--duration", "0.3", *options,
                                     status=FAILED)
        self.assertEqual(report["errors"][kind], count, outcome)
        self.assertFails(outcome, FAILED, kind)
        return report

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "127.0.0.1:%d" % listener.getsockname()[1]
        for options in ((), ("--connect-per-request",), ("--rate", "9"), ("--idle",)):
            self.assertCounts(address, "refused", 2, *options)
        self.assertFails(children.run("bench", address), FAILED, address, "Connection refused",
                         "is a server listening there?")

    def test_a_server_that_closes_is_counted(self):
        def close_after_one(connection):
            connection.recv(64)

        self.assertCounts(self.peer(close_after_one), "closed", 2)

    def test_a_server_that_resets_is_counted(self):
        def reset(connection):
            connection.recv(1)  # what is left unread makes the close a reset

        self.assertCounts(self.peer(reset), "reset", 2)

    def test_a_wrong_byte_is_counted_when_checked_and_only_then(self):
        def answer_zeros(connection):
            while data := connection.recv(65536):
                connection.sendall(bytes(len(data)))

        address = self.peer(answer_zeros)
        self.assertCounts(address, "wrong_byte", 2, "--check")
        self.bench(address, "--connections", "2", "--duration", "0.1")

    def test_more_than_was_sent_is_counted(self):
        def answer_double(connection):
            while data := connection.recv(65536):
                connection.sendall(data + data)

        self.assertCounts(self.peer(answer_double), "excess", 2)

    def test_requests_without_a_reply_are_counted(self):
        def swallow(connection):
            while connection.recv(65536):
                pass

        self.assertCounts(self.peer(swallow), "unanswered", 6, "--depth", "3")

    def test_a_one_way_stream_needs_no_reply(self):
        def swallow(connection):
            while connection.recv(1 << 20):
                pass

        def pour(connection):
            while True:
                connection.sendall(bytes(1 << 20))

        _, out = self.bench(self.peer(swallow), "--reply-size", "0", "--size", "64k",
                            "--duration", "0.2")
        self.assertGreater(out["bytes_sent"], 1 << 20)
        _, back = self.bench(self.peer(pour), "--size", "0", "--reply-size", "64k",
                             "--duration", "0.2")
        self.assertGreater(back["bytes_received"], 1 << 20)


class BenchSurroundingsTest(BenchTest):
    def start(self, server, *options, **surroundings):
        command = [children.PROGRAM, "bench", server.address, "--warmup", "0", *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   text=True, **surroundings)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_signal_ends_it_early_and_it_still_reports(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number), Server("--threads", "0") as server:
                process = self.start(server, "--duration", "600", "--json", "--sync")
                self.assertEqual(process.stdout.readline(), "open\n")
                process.send_signal(number)
                self.assertEqual(process.stdout.readline(), "closed\n")
                report = json.loads(process.stdout.readline())
                self.assertEqual(process.wait(timeout=children.PATIENCE), 0)
                self.assertTrue(report["interrupted"])
                self.assertLess(report["seconds"], 100)

    def test_a_harness_reads_the_count_while_it_runs_and_may_stop_it(self):
        with Server("--threads", "0") as server, tempfile.NamedTemporaryFile() as file:
            process = self.start(server, "--duration", "600", "--json", "--sync", "--count-in",
                                 file.name)
            self.assertEqual(process.stdout.readline(), "open\n")
            count = lambda: int.from_bytes(os.pread(file.fileno(), 8, 0), "little")  # noqa: E731
            deadline = time.monotonic() + children.PATIENCE
            while count() < 1000:
                self.assertLess(time.monotonic(), deadline)
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            stopped = count()
            process.send_signal(signal.SIGCONT)
            while count() == stopped:
                self.assertLess(time.monotonic(), deadline)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.stdout.readline(), "closed\n")
            report = json.loads(process.stdout.readline())
            self.assertEqual(process.wait(timeout=children.PATIENCE), 0)
            self.assertLessEqual(report["messages"], count())
            self.assertGreater(report["messages"], stopped - 1000)

    def test_a_terminal_gets_a_progress_line_that_fits_and_goes_away(self):
        with Server("--threads", "0") as server:
            ours, theirs = pty.openpty()
            self.addCleanup(os.close, ours)
            try:
                subprocess.run(["stty", "cols", "20"], stdin=theirs, check=True)
                process = self.start(server, "--duration", "1.5", stderr=theirs)
            finally:
                os.close(theirs)
            self.assertEqual(process.wait(timeout=children.PATIENCE), 0)
            shown = os.read(ours, 65536).decode()
            lines = [part for part in shown.split("\r") if "messages" in part or " s  " in part]
            self.assertNotEqual(lines, [], shown)
            for line in lines:
                self.assertLess(len(line.replace("\033[K", "")), 20)
            self.assertTrue(shown.endswith("\r\033[K"), shown)
            self.assertIn("messages/s", process.stdout.read())

    def test_no_terminal_no_progress_line(self):
        with Server("--threads", "0") as server:
            outcome = children.run("bench", server.address, "--duration", "1.2")
            self.assertEqual((outcome.status, outcome.complaints), (0, []), outcome)

    def test_output_that_cannot_be_written_is_said(self):
        with Server("--threads", "0") as server, open("/dev/full", "w", encoding="ascii") as full:
            outcome = children.run("bench", server.address, "--duration", "0.1", stdout=full)
            self.assertFails(outcome, FAILED, "standard output")


if __name__ == "__main__":
    children.main()
