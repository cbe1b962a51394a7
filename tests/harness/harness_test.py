"""The harness of bench/: it reads workloads, pairs rounds, and refuses to time a wrong server."""

import json
import math
import os
import pathlib
import signal
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import checks, latency, measure, page, report, stats, user  # noqa: E402
from harness.machine import Patience  # noqa: E402
from harness.servers import BenchError, Server, ServerSpec, custom_server  # noqa: E402
from harness.workloads import ENGINES, FULL, LATENCY, LOOPS, Workload  # noqa: E402

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


ROLES = report.Roles("gyre", ("floor", "other_floor"), ("peer",))


def sample(server, number, cpu, foreign=0.0, **others):
    fields = dict(server=server, workload="64x50", round=number, messages=1000, seconds=1,
                  server_cpu=cpu, user_ticks=1, system_ticks=3, load_cpu=1, foreign=foreign)
    return measure.Sample(**{**fields, **others})


class WorkloadTest(unittest.TestCase):
    def test_names_say_what_the_load_does(self):
        self.assertEqual(Workload.parse("64x50d16").arguments,
                         ["--connections", "50", "--size", "64", "--depth", "16"])
        self.assertEqual(Workload.parse("16kx8").size, 16384)
        self.assertEqual(Workload.parse("sink4kx2").mode, "sink")
        self.assertIn("--connect-per-request", Workload.parse("connectx5").arguments)
        self.assertTrue(Workload.parse("touchedx10").is_memory)
        self.assertEqual(Workload.parse("broadcastx9").mode, "broadcast")
        for name in (*FULL, *ENGINES, *LOOPS, *LATENCY):
            self.assertEqual(Workload.parse(name).name, name)

    def test_other_names_are_refused(self):
        for wrong in ("", "64", "x50", "64x", "64mx5", "64x5d", "-1x5", "sinkx5", "idle64x5"):
            with self.subTest(wrong=wrong), self.assertRaisesRegex(BenchError, "a workload is"):
                Workload.parse(wrong)


class StatsTest(unittest.TestCase):
    def test_student_s_t_is_that_of_the_tables(self):
        for freedom, interval, upper in ((1, 12.706, 6.314), (10, 2.228, 1.812),
                                         (11, 2.201, 1.796), (20, 2.086, 1.725),
                                         (60, 2.000, 1.671)):
            self.assertAlmostEqual(stats.t_interval(freedom), interval, places=3)
            self.assertAlmostEqual(stats.t_upper(freedom), upper, places=3)

    def test_the_interval_of_a_ratio_is_student_s_on_logs(self):
        ratio = stats.ratio_of([0.9, 1.0, 1 / 0.9])
        # Logs ∓0.10536 and 0: their mean's error is 0.06083, times 4.303 and 2.920.
        self.assertAlmostEqual(ratio["ratio"], 1.0)
        self.assertAlmostEqual(ratio["half_width"], 0.2992, places=3)
        self.assertAlmostEqual(ratio["upper"], 1.1944, places=3)
        self.assertAlmostEqual(ratio["lower"], 1 / 1.1944, places=3)

    def test_the_median_s_interval_is_by_order_statistics(self):
        self.assertEqual(stats.median_interval([1, 2, 3, 4, 5]), (None, None))
        self.assertEqual(stats.median_interval([6, 1, 5, 2, 4, 3]), (1, 6))
        self.assertEqual(stats.median_interval(range(1, 11)), (2, 9))
        self.assertEqual(stats.median_interval(range(1, 26)), (8, 18))

    def test_signed_rank_cuts_are_those_of_the_tables(self):
        for count, two_sided, one_sided in ((4, -1, -1), (5, -1, 0), (6, 0, 2), (10, 8, 10),
                                            (20, 52, 60), (25, 89, 100), (50, 433, 466)):
            self.assertEqual((stats.signed_rank_cut(count, 0.025),
                              stats.signed_rank_cut(count, 0.05)), (two_sided, one_sided))

    def test_from_six_rounds_on_a_ratio_is_that_of_hodges_and_lehmann(self):
        ratio = stats.ratio_of([math.exp(log) for log in (0.01, 0.02, 0.03, 0.05, 0.08, 0.13)])
        # 21 averages; the middle one is (0.02 + 0.08) / 2, the third from above (0.05 + 0.13) / 2.
        self.assertAlmostEqual(math.log(ratio["ratio"]), 0.05)
        self.assertAlmostEqual(math.log1p(ratio["half_width"]), (0.13 - 0.01) / 2)
        self.assertAlmostEqual(math.log(ratio["upper"]), 0.09)
        self.assertAlmostEqual(math.log(ratio["lower"]), 0.02)

    def test_a_burst_of_noise_moves_the_mean_and_not_the_ratio(self):
        ratio = stats.ratio_of([1.01] * 9 + [3.0])
        self.assertGreater(ratio["mean"], 1.1)
        self.assertGreater(ratio["mean_half_width"], 0.2)
        self.assertAlmostEqual(ratio["ratio"], 1.01)
        self.assertAlmostEqual(ratio["upper"], 1.01)

    def test_one_round_has_no_interval(self):
        ratio = stats.ratio_of([2])
        self.assertEqual((ratio["ratio"], ratio["half_width"], ratio["upper"]), (2, None, None))
        self.assertEqual(stats.verdict(ratio, 3), "open")
        self.assertIsNone(stats.ratio_of([]))

    def test_a_goal_is_shown_refuted_or_open(self):
        for ratios, expected in (((1.00, 1.01, 1.02), "shown"), ((1.10, 1.11, 1.12), "refuted"),
                                 ((1.00, 1.03, 1.06), "open")):
            self.assertEqual(stats.verdict(stats.ratio_of(ratios), 1.04), expected)
        self.assertEqual(stats.verdict(None, 1), "open")

    def test_noise_is_the_far_end_of_the_interval(self):
        self.assertIsNone(stats.noise_of(stats.ratio_of([1.0])))
        self.assertAlmostEqual(stats.noise_of(stats.ratio_of([1.02] * 6)), 0.02)
        self.assertAlmostEqual(stats.noise_of(stats.ratio_of([1 / 1.02] * 6)), 0.02)
        ratio = stats.ratio_of([1.10] * 6)
        self.assertEqual(stats.verdict(ratio, 1.05, 0.02), "refuted")
        self.assertEqual(stats.verdict(ratio, 1.05, 0.08), "open")

    def test_means_and_shares_have_their_intervals(self):
        # 4.303 × stdev 1 / sqrt(3).
        middle, width = stats.mean_interval([1, 2, 3])
        self.assertAlmostEqual(middle, 2)
        self.assertAlmostEqual(width, 2.484, places=3)
        self.assertEqual(stats.mean_interval([5]), (5, None))
        low, high = stats.share_interval(10, 100)  # Wilson
        self.assertAlmostEqual(low, 0.0552, places=4)
        self.assertAlmostEqual(high, 0.1744, places=4)
        self.assertEqual(stats.share_interval(0, 0), (0, 1))


class ReportTest(unittest.TestCase):
    def test_what_slows_a_whole_round_cancels_out(self):
        base = [sample("floor", i, cpu) for i, cpu in enumerate((1.0, 3.0, 2.0))]
        own = [sample("gyre", i, 1.1 * s.server_cpu) for i, s in enumerate(base)]
        ratio = report.paired_ratio(own, base)
        self.assertAlmostEqual(ratio["ratio"], 1.1)
        self.assertAlmostEqual(ratio["half_width"], 0)
        self.assertAlmostEqual(ratio["upper"], 1.1)

    def test_rounds_go_on_until_floor_and_peer_are_known(self):
        own = [sample("gyre", i, cpu) for i, cpu in enumerate((0.9, 1.0, 1.1111))]
        floor = [sample("floor", i, s.server_cpu) for i, s in enumerate(own)]
        peer = [sample("peer", i, 1.0) for i in range(3)]
        self.assertTrue(report.is_precise([*own, *floor], ROLES, 0.03))
        self.assertFalse(report.is_precise([*own, *floor, *peer], ROLES, 0.03))
        self.assertTrue(report.is_precise([*own, *floor, *peer], ROLES, 0.31))

    def test_the_best_is_the_one_with_the_lowest_median(self):
        rows = [sample("gyre", i, 1.05) for i in range(3)]
        rows += [sample("floor", i, cpu) for i, cpu in enumerate((0.5, 1.2, 1.2))]
        rows += [sample("other_floor", i, 1.0) for i in range(3)]
        row = report.summarize(rows, ROLES)[0]
        self.assertEqual(row["to_floor"]["base"], "other_floor")
        self.assertAlmostEqual(row["to_floor"]["ratio"], 1.05)
        self.assertIsNone(row["to_peer"])

    def test_verdicts_tell_goals_floor_and_load(self):
        rows = [sample("gyre", i, 1.02) for i in range(3)]
        rows += [sample("floor", i, 1.0) for i in range(3)]
        rows += [sample("peer", i, 0.9) for i in range(3)]
        one, = report.verdicts(report.summarize(rows, ROLES), ROLES)
        self.assertEqual((one["to_floor"]["verdict"], one["to_peer"]["verdict"]),
                         ("shown", "refuted"))
        self.assertAlmostEqual(one["floor_to_peer"]["ratio"], 1 / 0.9)
        self.assertAlmostEqual(one["load_ratio"], 1 / 1.02)

    def test_who_waits_for_whom_is_said(self):
        for own, load, limit in ((1.0, 1.0, "ok"), (0.95, 0.5, "the load is starved"),
                                 (0.5, 0.95, "the server waits for the load"),
                                 (0.5, 0.5, "both wait")):
            rows = [sample("gyre", 0, own, load_cpu=load, messages=1_000_000)]
            one, = report.verdicts(report.summarize(rows, ROLES), ROLES)
            self.assertEqual(one["load"], limit)

    def test_nothing_is_claimed_that_the_program_differs_by_from_itself(self):
        for twin, floor in ((1.0, "shown"), (1.05, "open")):
            rows = [sample("gyre", i, 1.0) for i in range(6)]
            rows += [sample(report.TWIN, i, twin) for i in range(6)]
            rows += [sample("floor", i, 1.0) for i in range(6)]
            one, = report.verdicts(report.summarize(rows, ROLES), ROLES)
            self.assertAlmostEqual(one["noise"], twin - 1)
            self.assertEqual(one["to_floor"]["verdict"], floor)

    def test_disturbed_rounds_do_not_count_when_enough_are_calm(self):
        base = [sample("floor", i, 1.0) for i in range(4)]
        own = [sample("gyre", i, 1.2, foreign=0) for i in range(3)] + [sample("gyre", 3, 9, 0.5)]
        self.assertAlmostEqual(report.paired_ratio(own, base)["ratio"], 1.2)
        row = report.summarize(base + own, ROLES)[0]
        self.assertEqual((row["disturbed"], row["rounds"], row["cpu_median_us"]), (1, 4, 1.2))

    def test_user_time_is_its_share_of_the_samples(self):
        # Watching makes a message 10 % dearer, in the kernel.
        rows = user.summarize([sample("gyre", i, 5.0, user_samples=hits, all_samples=1000)
                               for i, hits in enumerate((20, 20, 26))]
                              + [sample("gyre", i, 4.5) for i in range(3)])
        self.assertAlmostEqual(rows[0]["cpu_us"], 4.5)
        self.assertAlmostEqual(rows[0]["slowed"], 5.0 / 4.5)
        self.assertAlmostEqual(rows[0]["user_share"], 0.11 / 4.5)
        self.assertLess(rows[0]["share_low"], 0.11 / 4.5)
        self.assertGreater(rows[0]["share_high"], 0.11 / 4.5)
        self.assertAlmostEqual(rows[0]["user_us"], 0.11)
        # Windows of 0.10, 0.10 and 0.13: stdev 0.01732, error 0.01, times 4.303.
        self.assertAlmostEqual(rows[0]["user_half_width"], 0.04303, places=4)
        self.assertAlmostEqual(rows[0]["cpu_seconds"], 0.015)

    def test_latency_is_paired_by_round_and_names_the_overloaded(self):
        windows = [dict(workload="64x50", load=0.8, rate=9, server=server, round=i, p50=1, p99=p99)
                   for i in range(6)
                   for server, p99 in (("gyre", 50.0 + i), ("peer", 100.0 + 2 * i), ("slow", None))]
        gyre, peer, slow = latency.summarize(windows, "gyre")
        self.assertEqual((gyre["p99_us"], gyre["p99_low"], gyre["p99_high"]), (52.5, 50, 55))
        self.assertAlmostEqual(peer["reference_to_it"]["ratio"], 0.5)
        self.assertEqual((slow["overloaded"], slow["p99_us"]), (6, None))

    def test_the_total_of_strace_is_found_with_and_without_errors(self):
        for line in (b"100.00    0.027013           9      2881         9 total",
                     b"100.00    0.027013           9      2881           total"):
            self.assertEqual(measure.TOTAL_LINE.search(b"x\n" + line).group(1), b"2881")


class PageTest(unittest.TestCase):
    def test_every_result_is_on_the_page(self):
        roles = report.Roles("gyre", ("uring_echo",), ("libuv",))
        samples = [sample(name, i, cpu) for i in range(3)
                   for name, cpu in (("gyre", 7.25), ("uring_echo", 7.0), ("libuv", 8.75))]
        rows = report.summarize(samples, roles)
        head = {"machine": {"date": "2001-01-01", "cpus": 2, "cpu": "a CPU", "memory_gib": 3,
                            "kernel": "9.9", "versions": {"compiler": "c++ 99"},
                            "congestion": "vegas", "qdisc": "sfq",
                            "mitigations": {"meltdown": "PTI"}},
                "seconds": 1, "reference": "gyre"}
        peers = {
            **head, "system_calls": [], "summary": rows, "verdicts": report.verdicts(rows, roles),
            "stolen": 0.015,
            "not_done": [{"server": "mute", "workload": "sink1kx1", "why": "it is mute"}],
            "memory": [{"workload": "idlex10", "server": "gyre", "user_bytes": 247.0,
                        "slab_bytes": 9000.0}],
            "samples": [s.as_dict() for s in samples]}
        windows = [dict(workload="64x50", load=0.8, rate=777.0, server="gyre", round=i, p50=31.0,
                        p99=57.0) for i in range(6)]
        waits = {**head, "latency": latency.summarize(windows, "gyre"), "capacities": []}
        watched = {**head, "user": user.summarize(
            [sample("gyre", i, 5.0, user_samples=hits, all_samples=2 * 500)
             for i in range(3) for hits in (25, 25)] + [sample("gyre", 0, 5.0)])}
        inside = {"results": [
            {"library": library, "what": what, "nanoseconds": nanos}
            for library, what, nanos in (("gyre", "functor", 51.0), ("libuv", "functor", 63.0),
                                         ("gyre", "wheel: moved, of 10000", 4.0),
                                         ("gyre", "wheel: moved, of 1000000", 5.0))]}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            for name, document in (("micro", inside), ("peers", peers), ("latency", waits),
                                   ("user", watched)):
                (path / f"{name}.json").write_text(json.dumps(document))
            page.write(path, path)
            text = (path / "BENCHMARKS.md").read_text()
        for word in ("7.25 (7.25)", "8.75 (8.75)", "1.036", "1.250", "247 / 9000", "Linux 9.9",
                     "c++ 99", "2001-01-01", "refuted", "mute does no", "0.8286 | shown",
                     "57 to 57", "2.50% (", "125.0",
                     "| functor | 51.0 | 63.0 | 19,607,843 |",
                     "| wheel: moved | 4.00 | 5.00 | 1.25",
                     "congestion control vegas, qdisc of loopback sfq, 1.5% of the CPUs",
                     "meltdown: PTI", "On 1 of 1 workloads", "0.83 to 0.83 of it",
                     f"]({page.METHOD})", f"]({page.TRIED})"):
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
    PLAN = measure.Plan(PROGRAM, "", 0.2, 0.05, CPU, max(os.sched_getaffinity(0)), Patience(0))

    def test_a_window_costs_what_a_message_may_cost(self):
        with measure.Contender(self.SPEC, Workload.parse("64x10"), self.PLAN) as contender:
            first, taken = contender.window(3), contender.window(4)
        self.assertEqual((taken.server, taken.workload, taken.round), ("gyre", "64x10", 4))
        for one in (first, taken):
            self.assertGreater(one.messages, 10)
            self.assertGreater(one.server_cpu, 0.5)
            # No more than the whole window on one CPU.
            self.assertLess(one.server_cpu * one.messages, 1.5e6 * one.seconds)

    def test_a_crowd_is_counted_when_the_server_rests(self):
        with measure.Contender(self.SPEC, Workload.parse("64x400"), self.PLAN) as contender:
            contender.window(0)
            before, taken, after = contender.counted(), contender.window(1), contender.counted()
        self.assertEqual(after[0] - before[0], taken.messages)
        # But for what a resting server does, a trim of its pools for example.
        self.assertAlmostEqual((after[1] - before[1]) / 1000 / taken.messages, taken.server_cpu,
                               delta=taken.server_cpu / 5)

    def test_between_windows_neither_side_works(self):
        with measure.Contender(self.SPEC, Workload.parse("64x10"), self.PLAN) as contender:
            contender.window(0)
            edges = []
            while len(edges) < 2 or edges[-1] != edges[-2]:  # What was on its way comes to rest.
                edges.append(contender.counted())
            self.assertLess(len(edges), 1000)

    def test_a_load_that_was_wrong_is_an_error(self):
        with self.assertRaisesRegex(BenchError, "the load failed|nothing came|ended early"):
            with measure.Contender(self.SPEC, Workload.parse("64x10"), self.PLAN) as contender:
                os.kill(contender.server_pid, signal.SIGKILL)
                contender.window(0)

    def test_an_open_loop_tells_latency(self):
        waits, foreign = measure.open_loop(self.SPEC, Workload.parse("64x10"), self.PLAN, 2000)
        self.assertGreater(waits["p99"], waits["p50"] - 1e-9)
        self.assertGreaterEqual(foreign, 0)

    def test_memory_is_told_per_connection(self):
        measure.SETTLE_SECONDS = 0.2
        taken = measure.measure_memory(self.SPEC, Workload.parse("touchedx500"), self.PLAN, 0)
        self.assertGreater(taken.user, 50)
        self.assertLess(taken.user, 20000)


def main():
    if not os.access(PROGRAM, os.X_OK):
        sys.exit("GYRE_PROGRAM must be the path of the built program")
    unittest.main()


if __name__ == "__main__":
    main()
