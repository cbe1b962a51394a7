#!/usr/bin/env python3
"""Plants each fault of this folder, alone, and sees which named test catches it.

    tests/mutants/run.py [NAME ...] [--build-dir DIR] [--keep-going]

Each patch says in its head what the fault is and which test program is to catch it. The tree is
copied, the test programs are built once, then for each patch: apply, build, run, take back. A fault
is caught when a test fails by an assertion or a CHECK; a timeout does not count. Ends with a line
`N passed, N failed, N skipped`, passed meaning caught.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).resolve().parent
TEST_SECONDS = 180


class Mutant:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        head = path.read_text().split("\n\n", 1)[0]
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        self.fault = fields["fault"]
        self.program, self.filter = fields["run"].split(" ", 1)


def copy_tree(target):
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in names:
        source = ROOT / name
        if not source.is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name)


def build(tree, programs):
    command = ["cmake", "--build", str(tree / "build" / "mutants"), "--target", *programs]
    return subprocess.run(command, capture_output=True, text=True)


def configure(tree):
    command = ["cmake", "-S", str(tree), "-B", str(tree / "build" / "mutants"), "-G", "Ninja",
               "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=-O1 -g0", "-DGYRE_BUILD_BENCH=OFF",
               "-DGYRE_BUILD_EXAMPLES=OFF"]
    subprocess.run(command, check=True, capture_output=True)


def patch(tree, mutant, *options):
    command = ["patch", "-p1", "-s", *options, "-i", str(mutant.path)]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True)


def run_tests(tree, mutant):
    """The name of what caught the fault, or why nothing did."""
    program = next((tree / "build" / "mutants").rglob(mutant.program))
    command = [str(program), f"--gtest_filter={mutant.filter}", "--gtest_break_on_failure=0",
               "--gtest_fail_fast"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TEST_SECONDS,
                              errors="replace")
    except subprocess.TimeoutExpired:
        return None, "timeout, which does not count"
    if done.returncode == 0:
        return None, "survived"
    failed = re.findall(r"\[  FAILED  \] ([\w/.]+)", done.stdout)
    if failed:
        return failed[0], ""
    check = re.search(r"CHECK failed: (.*)", done.stderr)
    running = re.findall(r"\[ RUN      \] ([\w/.]+)", done.stdout)
    if check and running:
        return f"{running[-1]} (CHECK: {check.group(1).split(': ', 1)[-1]})", ""
    return None, f"exit status {done.returncode} without a named assertion"


def try_mutant(tree, mutant):
    if patch(tree, mutant).returncode != 0:
        return None, "the patch does not apply any more: bring it up to date"
    built = build(tree, [mutant.program])
    if built.returncode == 0:
        caught, why = run_tests(tree, mutant)
    else:
        caught, why = None, "does not build"
    patch(tree, mutant, "-R")
    return caught, why


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these")
    arguments = parser.parse_args()
    mutants = [Mutant(path) for path in sorted(FOLDER.glob("*.patch"))]
    if arguments.names:
        mutants = [mutant for mutant in mutants if mutant.name in arguments.names]
    caught_count = 0
    with tempfile.TemporaryDirectory(prefix="gyre-mutants-") as folder:
        tree = pathlib.Path(folder)
        copy_tree(tree)
        configure(tree)
        base = build(tree, sorted({mutant.program for mutant in mutants}))
        if base.returncode != 0:
            sys.exit(base.stdout[-4000:])
        for mutant in mutants:
            caught, why = try_mutant(tree, mutant)
            caught_count += caught is not None
            result = caught or "NOT CAUGHT: " + why
            print(f"| {mutant.name} | {mutant.fault} | {result} |", flush=True)
    print(f"{caught_count} passed, {len(mutants) - caught_count} failed, 0 skipped")
    sys.exit(0 if caught_count == len(mutants) else 1)


if __name__ == "__main__":
    main()
