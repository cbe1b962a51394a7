"""The harness of bench/: it reads workloads, pairs rounds, and refuses to time a wrong server."""

import json
import os
import pathlib
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import checks, measure, page, report  # noqa: E402
from harness.machine import Patience  # noqa: E402
from harness.servers import BenchError, Server, ServerSpec, custom_server  # noqa: E402
from harness.workloads import ENGINES, FULL, QUICK, Workload  # noqa: E402

PROGRAM = os.environ.get("GYRE_PROGRAM", "")
CPU = min(os.sched_getaffinity(0))

# Echoes, but for the fault that its argument names.
FAULTY = """
import socket, sys, threading
fault = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
def serve(peer):
    total = 0
    with peer:
        while data := peer.recv(65536):
            total += len(data)
            if fault == "wrong-byte" and total > 100000:
                data = bytes([data[0] ^ 1]) + data[1:]
            if fault == "loses-byte" and total > 100000:
                data = data[:-1]
            peer.sendall(data)
        if fault == "never-closes":
            threading.Event().wait()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def sample(server, number, cpu, foreign=0.0):
    return measure.Sample(server=server, workload="64x50", round=number, messages=1, seconds=1,
                          server_cpu=cpu, server_user=1, server_system=3, load_cpu=1, p50=1, p99=1,
                          foreign=foreign, waiting=0)


class WorkloadTest(unittest.TestCase):
    def test_names_say_what_the_load_does(self):
        self.assertEqual(Workload.parse("64x50d16").arguments,
                         ["--connections", "50", "--size", "64", "--depth", "16"])
        self.assertEqual(Workload.parse("16kx8").size, 16384)
        self.assertEqual(Workload.parse("sink4kx2").mode, "sink")
        self.assertIn("--connect-per-request", Workload.parse("connectx5").arguments)
        self.assertTrue(Workload.parse("touchedx10").is_memory)
        for name in (*FULL, *QUICK, *ENGINES):
            self.assertEqual(Workload.parse(name).name, name)

    def test_other_names_are_refused(self):
        for wrong in ("", "64", "x50", "64x", "64mx5", "64x5d", "-1x5", "sinkx5", "idle64x5"):
            with self.subTest(wrong=wrong), self.assertRaisesRegex(BenchError, "a workload is"):
                Workload.parse(wrong)


class ReportTest(unittest.TestCase):
    def test_what_slows_a_whole_round_cancels_out(self):
        base = [sample("floor", i, cpu) for i, cpu in enumerate((1.0, 3.0, 2.0))]
        own = [sample("gyre", i, 1.1 * s.server_cpu) for i, s in enumerate(base)]
        ratio = report.paired_ratio(own, base)
        self.assertAlmostEqual(ratio["ratio"], 1.1)
        self.assertAlmostEqual(ratio["half_width"], 0)
        self.assertAlmostEqual(ratio["upper"], 1.1)

    def test_the_interval_is_student_s(self):
        base = [sample("floor", i, 1.0) for i in range(3)]
        own = [sample("gyre", i, cpu) for i, cpu in enumerate((0.9, 1.0, 1.1111))]
        ratio = report.paired_ratio(own, base)
        # Logs -0.1054, 0, 0.1053: their mean's error is 0.0608, times 4.30 and 2.92.
        self.assertAlmostEqual(ratio["half_width"], 0.299, places=2)
        self.assertAlmostEqual(ratio["upper"], 1.194, places=2)
        rows = [*base, *own]
        self.assertFalse(report.is_precise(rows, "gyre", ["floor"], 0.03))
        self.assertTrue(report.is_precise(rows, "gyre", ["floor"], 0.5))

    def test_one_round_has_no_interval(self):
        ratio = report.paired_ratio([sample("gyre", 0, 2)], [sample("floor", 0, 1)])
        self.assertEqual(ratio, {"ratio": 2, "half_width": None, "upper": None})

    def test_disturbed_rounds_do_not_count_when_enough_are_calm(self):
        base = [sample("floor", i, 1.0) for i in range(4)]
        own = [sample("gyre", i, 1.2, foreign=0) for i in range(3)] + [sample("gyre", 3, 9, 0.5)]
        self.assertAlmostEqual(report.paired_ratio(own, base)["ratio"], 1.2)
        row = report.summarize(base + own, ["floor"])[1]
        self.assertEqual((row["disturbed"], row["rounds"], row["cpu_median_us"]), (1, 4, 1.2))

    def test_the_total_of_strace_is_found_with_and_without_errors(self):
        for line in (b"100.00    0.027013           9      2881         9 total",
                     b"100.00    0.027013           9      2881           total"):
            self.assertEqual(measure.TOTAL_LINE.search(b"x\n" + line).group(1), b"2881")


class PageTest(unittest.TestCase):
    def test_every_result_is_on_the_page(self):
        samples = [sample(name, i, cpu) for i in range(3)
                   for name, cpu in (("gyre", 7.25), ("uring_echo", 7.0), ("libuv", 8.75))]
        document = {
            "machine": {"date": "2001-01-01", "cpus": 2, "cpu": "a CPU", "memory_gib": 3,
                        "kernel": "9.9", "versions": {"compiler": "c++ 99"}},
            "seconds": 1, "reference": "gyre", "system_calls": [],
            "summary": report.summarize(samples, ["uring_echo"]),
            "memory": [{"workload": "idlex10", "server": "gyre", "user_bytes": 247.0,
                        "slab_bytes": 9000.0}],
            "samples": [s.as_dict() for s in samples]}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "peers.json").write_text(json.dumps(document))
            page.write(path, path)
            text = (path / "BENCHMARKS.md").read_text()
        for word in ("7.25 (7.25)", "8.75 (8.75)", "1.036", "1.250", "247 / 9000", "Linux 9.9",
                     "c++ 99", "2001-01-01"):
            self.assertIn(word, text)

    def test_without_results_there_is_no_page(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(BenchError):
            page.write(pathlib.Path(folder), pathlib.Path(folder))


class ChecksTest(unittest.TestCase):
    def test_a_server_that_is_wrong_is_never_timed(self):
        for fault in ("wrong-byte", "loses-byte", "never-closes"):
            with self.subTest(fault=fault), tempfile.NamedTemporaryFile("w", suffix=".py") as file:
                file.write(FAULTY)
                file.flush()
                spec = ServerSpec(fault, (sys.executable, file.name, fault))
                checks.DEADLINE = 4.0
                with self.assertRaisesRegex(BenchError, fault):
                    checks.verify(spec, PROGRAM, CPU)

    def test_a_server_that_does_not_start_is_named(self):
        for command in ("true", "/nonexistent/program"):
            with self.assertRaisesRegex(BenchError, "mine"):
                Server(custom_server(f"mine={command}"), CPU).__enter__()


class MeasureTest(unittest.TestCase):
    SPEC = ServerSpec("gyre", (PROGRAM, "echo", "--listen", "127.0.0.1:0", "--threads", "0"))
    PLAN = measure.Plan(PROGRAM, 0.3, 0.05, CPU, max(os.sched_getaffinity(0)), Patience(0))

    def test_a_window_costs_what_a_message_may_cost(self):
        taken = measure.measure(self.SPEC, Workload.parse("64x10"), self.PLAN, 4)
        self.assertEqual((taken.server, taken.workload, taken.round), ("gyre", "64x10", 4))
        self.assertGreater(taken.messages, 10)
        self.assertGreater(taken.server_cpu, 0.5)
        # No more than the whole window on one CPU.
        self.assertLess(taken.server_cpu * taken.messages, 1.5e6 * taken.seconds)
        self.assertGreater(taken.p99, taken.p50 - 1e-9)

    def test_memory_is_told_per_connection(self):
        taken = measure.measure(self.SPEC, Workload.parse("touchedx500"), self.PLAN, 0)
        self.assertGreater(taken.user, 50)
        self.assertLess(taken.user, 20000)


def main():
    if not os.access(PROGRAM, os.X_OK):
        sys.exit("GYRE_PROGRAM must be the path of the built program")
    unittest.main()


if __name__ == "__main__":
    main()
