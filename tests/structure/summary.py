#!/usr/bin/env python3
"""Adds up ctest's JUnit files: summary.py [--allow FILE] tree=junit.xml=status...

What gtest says counts for the tests that shared a process (a shard), ctest's word for the others.
Judges the skipped tests by the allow-list and prints, alone on the last line,
"N passed, N failed, N skipped". The exit status is 0 only if every test that ran passed,
something ran, and every skip was in order. `status` is what ctest returned.
"""

import argparse
import collections
import os
import pathlib
import re
import sys
import xml.etree.ElementTree

SKIPPED_BY_THE_TEST = ("SKIP_REGULAR_EXPRESSION_MATCHED", "SKIP_RETURN_CODE")
GTEST_REASON = re.compile(r"^\S+:\d+: Skipped\n(.*?)(?:\n\n|\n?\[ +SKIPPED +\]|\Z)",
                          re.MULTILINE | re.DOTALL)
SHARD = re.compile(r"^(\w+\.)?gyre_\w+_test\.shard\d+$")
GTEST_LINE = re.compile(r"^\[ +(RUN|OK|FAILED|SKIPPED) +\] ([^\s,]+)(?:$|.* \(\d+ ms\)$)",
                        re.MULTILINE)
NO_URING = re.compile(r"io_uring (?:is )?(?:not available|unavailable|refused|disabled)")

Test = collections.namedtuple("Test", "name outcome reason")


def reason_of(output):
    match = GTEST_REASON.search(output)
    reason = " ".join(match.group(1).split()) if match else ""
    return reason or "no reason given"


def judge(tree, case):
    """One <testcase> as a Test. What ctest could not start has failed, not been skipped."""
    name = f"{tree}: {case.get('name')}"
    status = case.get("status")
    if status == "run":
        return Test(name, "passed", "")
    if status == "disabled":
        return Test(name, "skipped", "disabled in the source")
    skipped = case.find("skipped")
    message = skipped.get("message", "") if skipped is not None else ""
    if status == "notrun" and message.startswith(SKIPPED_BY_THE_TEST):
        return Test(name, "skipped", reason_of(case.findtext("system-out", "")))
    return Test(name, "failed", message or status)


def judge_shard(tree, case, prefix):
    """The tests that shared a process. One that has begun and not ended has taken it along."""
    output = case.findtext("system-out", "")
    tests, begun = [], None
    for match in GTEST_LINE.finditer(output):
        outcome, name = match.group(1).lower(), f"{tree}: {prefix}{match.group(2)}"
        if outcome == "run":
            begun = match
            continue
        if begun is None or begun.group(2) != match.group(2):
            continue  # the list at the end
        reason = reason_of(output[begun.end():match.end()]) if outcome == "skipped" else ""
        tests.append(Test(name, {"ok": "passed"}.get(outcome, outcome), reason))
        begun = None
    if begun is not None:
        tests.append(Test(f"{tree}: {prefix}{begun.group(2)}", "failed", "it did not end"))
    whole = judge(tree, case)
    if not tests or (whole.outcome == "failed" and all(t.outcome != "failed" for t in tests)):
        tests.append(whole)
    return tests


def judge_case(tree, case):
    shard = SHARD.match(case.get("name"))
    return judge_shard(tree, case, shard.group(1) or "") if shard else [judge(tree, case)]


def read_results(tree, path, status):
    """All tests of one tree. That ctest failed without a failed test is a failed test too."""
    if not path.is_file():
        return [Test(f"{tree}: ctest", "failed", "it left no results: read its output above")]
    root = xml.etree.ElementTree.parse(path).getroot()
    tests = [test for case in root.iter("testcase") for test in judge_case(tree, case)]
    if status != "0" and not any(test.outcome == "failed" for test in tests):
        tests.append(Test(f"{tree}: ctest", "failed", f"status {status}: read its output above"))
    return tests


def read_allowed(path):
    """The (test, reason) patterns of an allow-list: 'test regex :: reason regex' per line."""
    allowed = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            test, separator, reason = line.partition(" :: ")
            if not separator:
                sys.exit(f"{path}:{number}: write 'test regex :: reason regex'")
            allowed.append((re.compile(test), re.compile(reason)))
    return allowed


def is_in_order(test, allowed, allow_no_uring):
    if NO_URING.search(test.reason):
        return allow_no_uring
    name = test.name.split(": ", 1)[1]
    return any(pattern.search(name) and reason.search(test.reason) for pattern, reason in allowed)


def report_skips(skipped, allowed, allow_no_uring):
    """Prints how many and why; returns how many were not in order."""
    reasons = collections.Counter(test.reason for test in skipped)
    if skipped:
        print(f"\nSkipped {len(skipped)}:")
    for reason, count in reasons.most_common():
        print(f"  {count:4}  {reason}")
    offenders = [test for test in skipped if not is_in_order(test, allowed, allow_no_uring)]
    for test in offenders:
        cure = ("set GYRE_ALLOW_NO_URING=1 to accept a machine without it"
                if NO_URING.search(test.reason)
                else "make it run, or enter it in tests/skips.allow")
        print(f"  not allowed to skip: {test.name} ({test.reason}): {cure}")
    return len(offenders)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allow", type=pathlib.Path, help="the allow-list of skips")
    parser.add_argument("results", nargs="+", metavar="tree=junit.xml=status")
    args = parser.parse_args()

    tests = []
    for result in args.results:
        tree, path, status = result.split("=")
        tests += read_results(tree, pathlib.Path(path), status)
    by_outcome = {outcome: [test for test in tests if test.outcome == outcome]
                  for outcome in ("passed", "failed", "skipped")}
    offenders = report_skips(by_outcome["skipped"], read_allowed(args.allow) if args.allow else [],
                             os.environ.get("GYRE_ALLOW_NO_URING") == "1")
    if by_outcome["failed"]:
        print(f"\nFailed {len(by_outcome['failed'])}:")
    for test in by_outcome["failed"]:
        print(f"  {test.name}" + (f" ({test.reason})" if test.reason not in ("", "fail") else ""))
    print()
    print(", ".join(f"{len(chosen)} {outcome}" for outcome, chosen in by_outcome.items()))
    return 1 if by_outcome["failed"] or offenders or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
