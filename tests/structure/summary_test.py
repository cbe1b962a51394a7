"""The summary counts what ctest wrote and judges what was skipped."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SUMMARY = pathlib.Path(__file__).resolve().parent / "summary.py"
PASSED = '<testcase name="Echo.Send_echoes" status="run"/>'
FAILED = '<testcase name="Echo.Close_closes" status="fail"><failure message=""/></testcase>'
NOT_BUILT = ('<testcase name="net_NOT_BUILT" status="notrun">'
             '<skipped message="Unable to find executable: net"/></testcase>')
DISABLED = '<testcase name="Echo.Later" status="disabled"/>'


def skipped(reason, name="Echo.Send_zeroCopy_works"):
    return (f'<testcase name="{name}" status="notrun">'
            '<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/><system-out>'
            f"[ RUN      ] {name}\nEchoTest.cc:12: Skipped\n{reason}\n\n"
            f"[  SKIPPED ] {name} (0 ms)\n</system-out></testcase>")


def shard(status, *lines, name="epoll.gyre_net_test.shard3"):
    """A process of several tests, as ctest tells of it."""
    return (f'<testcase name="{name}" status="{status}"><system-out>'
            + "\n".join(lines) + "\n</system-out></testcase>")


def ran(name, outcome="       OK ", *said):
    return [f"[ RUN      ] {name}", *said, f"[{outcome}] {name} (0 ms)"]


class SummaryTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="gyre-summary-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def summarize(self, *trees, allow="", ctest="0", **environment):
        arguments = ["--allow", str(self.folder / "skips.allow")]
        (self.folder / "skips.allow").write_text(allow)
        for number, cases in enumerate(trees):
            path = self.folder / f"{number}.xml"
            if cases is not None:
                path.write_text(f'<?xml version="1.0"?><testsuite>{cases}</testsuite>')
            arguments.append(f"tree{number}={path}={ctest}")
        clean = {key: value for key, value in os.environ.items() if key != "GYRE_ALLOW_NO_URING"}
        result = subprocess.run([sys.executable, SUMMARY, *arguments], text=True,
                                capture_output=True, env={**clean, **environment})
        return result.returncode, result.stdout.splitlines()[-1], result.stdout

    def test_trees_are_added_up(self):
        status, total, _ = self.summarize(PASSED + PASSED, PASSED)
        self.assertEqual((0, "3 passed, 0 failed, 0 skipped"), (status, total))

    def test_failure_fails_and_is_named(self):
        status, total, output = self.summarize(PASSED, FAILED)
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (status, total))
        self.assertIn("tree1: Echo.Close_closes", output)

    def test_what_could_not_start_has_failed(self):
        status, total, _ = self.summarize(PASSED + NOT_BUILT)
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (status, total))

    def test_missing_results_have_failed(self):
        status, total, _ = self.summarize(PASSED, None)
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (status, total))

    def test_ctest_that_failed_without_a_failed_test_has_failed(self):
        self.assertEqual("1 passed, 1 failed, 0 skipped", self.summarize(PASSED, ctest="8")[1])
        self.assertEqual("1 passed, 1 failed, 0 skipped",
                         self.summarize(PASSED + FAILED, ctest="8")[1])

    def test_tests_of_a_shard_count_one_by_one(self):
        status, total, output = self.summarize(
            shard("run", *ran("Echo.Send"),
                  *ran("Echo.Zero", "  SKIPPED ", "a.cc:1: Skipped", "needs kernel 6.20", ""),
                  "[  PASSED  ] 1 test.", "[  SKIPPED ] 1 test, listed below:",
                  "[  SKIPPED ] Echo.Zero"))
        self.assertEqual((1, "1 passed, 0 failed, 1 skipped"), (status, total))
        self.assertIn("not allowed to skip: tree0: epoll.Echo.Zero (needs kernel 6.20)", output)

    def test_failures_of_a_shard_are_named(self):
        status, total, output = self.summarize(
            shard("fail", *ran("Seeds/Echo.Send/0"), "[ RUN      ] Seeds/Echo.Close/1",
                  "[  FAILED  ] Seeds/Echo.Close/1, where GetParam() = 1 (0 ms)",
                  "[  FAILED  ] Seeds/Echo.Close/1, where GetParam() = 1"))
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (status, total))
        self.assertIn("tree0: epoll.Seeds/Echo.Close/1\n", output)

    def test_test_that_took_its_shard_along_has_failed(self):
        status, total, output = self.summarize(
            shard("fail", *ran("Echo.Send"), "[ RUN      ] Echo.Close", "CHECK: it crashed"))
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (status, total))
        self.assertIn("tree0: epoll.Echo.Close (it did not end)", output)

    def test_shard_that_failed_after_its_tests_has_failed(self):
        status, total, output = self.summarize(shard("fail", *ran("Echo.Send"), "leak"))
        self.assertEqual((1, "1 passed, 1 failed, 0 skipped"), (status, total))
        self.assertIn("tree0: epoll.gyre_net_test.shard3", output)
        self.assertEqual("0 passed, 1 failed, 0 skipped", self.summarize(shard("fail"))[1])

    def test_nothing_run_fails(self):
        status, total, _ = self.summarize("")
        self.assertEqual((1, "0 passed, 0 failed, 0 skipped"), (status, total))

    def test_allowed_skip_passes_and_its_reason_is_printed(self):
        status, total, output = self.summarize(PASSED + skipped("needs kernel 6.20"),
                                               allow="# old\n^Echo\\. :: needs kernel \\d\n")
        self.assertEqual((0, "1 passed, 0 failed, 1 skipped"), (status, total))
        self.assertIn("1  needs kernel 6.20", output)

    def test_other_skip_fails(self):
        for allow in ("", "^Timer :: needs kernel\n", "^Echo :: needs root\n"):
            status, total, output = self.summarize(skipped("needs kernel 6.20"), allow=allow)
            self.assertEqual((1, "0 passed, 0 failed, 1 skipped"), (status, total))
            self.assertIn("not allowed to skip: tree0: Echo.Send_zeroCopy_works", output)

    def test_skip_without_reason_fails(self):
        self.assertEqual(1, self.summarize(skipped(""), allow="Echo :: needs\n")[0])

    def test_disabled_test_fails(self):
        status, total, _ = self.summarize(PASSED + DISABLED)
        self.assertEqual((1, "1 passed, 0 failed, 1 skipped"), (status, total))

    def test_machine_without_io_uring_fails_unless_told(self):
        case = PASSED + skipped("io_uring is not available: ENOSYS")
        self.assertEqual(1, self.summarize(case, allow=". :: .\n")[0])
        self.assertEqual(1, self.summarize(case, GYRE_ALLOW_NO_URING="0")[0])
        self.assertEqual(0, self.summarize(case, GYRE_ALLOW_NO_URING="1")[0])

    def test_malformed_allow_list_is_refused(self):
        result = subprocess.run([sys.executable, SUMMARY, "--allow", "/dev/stdin", "a=b=0"],
                                input="no separator\n", text=True, capture_output=True)
        self.assertNotEqual(0, result.returncode)
        self.assertIn(":1: write", result.stderr)


if __name__ == "__main__":
    unittest.main()
