#!/usr/bin/env python3
"""Plants each fault of this folder, alone, and sees which named test catches it.

    tests/mutants/run.py [NAME ...] [--work DIR] [--check]

The head of each patch says what the fault is (`fault:`), which test program is to catch it with
which of its tests (`run:`), and in what build, when it takes a sanitizer (`sanitizer:`). The
sources are copied to DIR (build/mutants), built once, and for each patch: applied, built, run,
taken back. A fault is caught when a test fails by an assertion, a CHECK or a sanitizer's report; a
timeout does not count. Prints a line per fault, the table of docs/TESTING.md, and at the end
`N caught, N not caught`.

--check only sees that every patch still applies, and that the table names it.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).resolve().parent
TABLE = ROOT / "docs" / "TESTING.md"
SOURCES = ["CMakeLists.txt", "cmake", "include", "src", "tests"]
TEST_SECONDS = 60
BUILD_SECONDS = 900


class Mutant:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        head, _, diff = path.read_text(encoding="utf-8").partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        self.fault = fields["fault"]
        self.program, self.filter = fields["run"].split(" ", 1)
        self.sanitizer = fields.get("sanitizer", "")
        self.files = re.findall(r"^\+\+\+ b/(\S+)", diff, re.MULTILINE)


class Verdict:
    def __init__(self, test=None, assertion="", why=""):
        self.test = test
        self.assertion = assertion
        self.why = why


# --- The copy of the sources

def sources():
    for name in SOURCES:
        top = ROOT / name
        yield from [top] if top.is_file() else (p for p in sorted(top.rglob("*")) if p.is_file())


def restore(tree, names):
    """Writes only what differs, so that the build tree need not be built again."""
    for name in names:
        wanted = (ROOT / name).read_bytes()
        target = tree / name
        if target.is_file() and target.read_bytes() == wanted:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(wanted)


def mirror(tree):
    names = [path.relative_to(ROOT) for path in sources() if "__pycache__" not in path.parts]
    restore(tree, names)
    for path in sorted(tree.rglob("*")):
        if path.is_file() and path.relative_to(tree) not in names:
            path.unlink()


def apply(tree, mutant, *options):
    command = ["patch", "-p1", "-s", "-f", "--fuzz=0", "--no-backup-if-mismatch", "-r", "-",
               *options, "-i", str(mutant.path)]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True).returncode == 0


# --- Building and running

def configure(work, sanitizer):
    """One build tree without a sanitizer, one for each that a fault asks for."""
    build = work / (sanitizer or "plain")
    command = ["cmake", "-S", str(work / "tree"), "-B", str(build), "-G", "Ninja",
               "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g0",
               "-DGYRE_BUILD_APPS=OFF", "-DGYRE_BUILD_BENCH=OFF", "-DGYRE_BUILD_EXAMPLES=OFF",
               "-DGYRE_INSTALL=OFF", f"-DGYRE_SANITIZER={sanitizer}"]
    if shutil.which("ccache"):
        command.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")
    subprocess.run(command, check=True, capture_output=True)
    return build


def make(build, programs):
    command = ["cmake", "--build", str(build), "--target", *programs]
    return subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS)


def steady_addresses():
    """The sanitizers of g++ 12 do not start where too many bits of addresses are random."""
    prefix = ["setarch", "--addr-no-randomize"]
    works = shutil.which("setarch") and subprocess.run([*prefix, "true"]).returncode == 0
    return prefix if works else []


def assertion_at(build, place, line):
    """The statement at a line of a test; the compiler was called in the build folder."""
    lines = (build / place).read_text(encoding="utf-8").splitlines()[int(line) - 1:]
    statement = ""
    for each in lines[:6]:
        statement += " " + each.strip()
        if each.rstrip().endswith((";", "{")):
            break
    return statement.strip().rstrip("{;").strip()


def judge(build, done):
    """What failed first: an expectation, a CHECK, or what a sanitizer looks for."""
    places = list(re.finditer(r"^(\S+\.(?:cc|h)):(\d+): Failure", done.stdout, re.MULTILINE))
    before = done.stdout[:places[0].start()] if places else done.stdout
    running = re.findall(r"\[ RUN      \] ([\w/.]+)", before)
    if places and running:
        statements = [assertion_at(build, *place.groups()) for place in places]
        # Not what waited in vain, where something else tells more.
        telling = [each for each in statements if not each.startswith("ADD_FAILURE")]
        return Verdict(running[-1], (telling or statements)[0])
    check = re.search(r"CHECK failed: (.*)", done.stderr)
    if check and running:
        return Verdict(running[-1], "CHECK: " + check.group(1))
    report = re.search(r"(?:WARNING|ERROR): (\w+Sanitizer: [\w -]+)", done.stderr)
    if report and running:
        return Verdict(running[-1], report.group(1).strip())
    return Verdict(why=f"exit status {done.returncode} without a named assertion")


def run_tests(build, mutant):
    prefix = steady_addresses() if mutant.sanitizer else []
    command = [*prefix, str(build / "bin" / mutant.program), f"--gtest_filter={mutant.filter}",
               "--gtest_fail_fast", "--gtest_color=no"]
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TEST_SECONDS,
                              errors="replace", env=environment)
    except subprocess.TimeoutExpired:
        return Verdict(why=f"it hangs for {TEST_SECONDS} s, which does not count")
    if done.returncode != 0:
        return judge(build, done)
    ran = "[ RUN      ]" in done.stdout
    return Verdict(why="it survives" if ran else f"no test is called {mutant.filter}")


def try_mutant(tree, build, mutant):
    try:
        if not apply(tree, mutant):
            return Verdict(why="the patch does not apply any more: bring it up to date")
        built = make(build, [mutant.program])
        if built.returncode != 0:
            return Verdict(why="it does not build:\n" + built.stdout[-2000:])
        return run_tests(build, mutant)
    finally:
        restore(tree, mutant.files)


def build_unharmed(build, mutants):
    """Builds what the faults are tried on, and sees that its tests pass without them."""
    programs = sorted({mutant.program for mutant in mutants})
    base = make(build, programs)
    if base.returncode != 0:
        sys.exit(base.stdout[-4000:])
    for program in programs:
        filters = ":".join(mutant.filter for mutant in mutants if mutant.program == program)
        command = [*(steady_addresses() if mutants[0].sanitizer else []),
                   str(build / "bin" / program), f"--gtest_filter={filters}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                              errors="replace")
        if done.returncode != 0:
            sys.exit(f"{program} fails without a fault:\n{done.stdout[-4000:]}")


# --- Commands

def row(mutant, verdict):
    file = ", ".join(mutant.files)
    build = f" ({mutant.sanitizer} sanitizer)" if mutant.sanitizer else ""
    assertion = verdict.assertion.replace("|", "\\|")
    return (f"| {mutant.name}: {mutant.fault} | `{file}` | `{verdict.test}`{build} "
            f"| `{assertion}` |")


def try_all(mutants, work):
    mirror(work / "tree")
    rows, missed = [], []
    for sanitizer in sorted({mutant.sanitizer for mutant in mutants}):
        group = [mutant for mutant in mutants if mutant.sanitizer == sanitizer]
        build = configure(work, sanitizer)
        build_unharmed(build, group)
        for mutant in group:
            begin = time.monotonic()
            verdict = try_mutant(work / "tree", build, mutant)
            took = f"{time.monotonic() - begin:.0f} s"
            if verdict.test is None:
                missed.append(mutant.name)
                print(f"NOT CAUGHT {mutant.name}: {verdict.why} ({took})", flush=True)
                continue
            rows.append(row(mutant, verdict))
            print(f"caught {mutant.name} by {verdict.test} ({took})", flush=True)
    print("\n| fault | file | caught by | its assertion |\n|---|---|---|---|")
    print("\n".join(sorted(rows)))
    print(f"\n{len(rows)} caught, {len(missed)} not caught {' '.join(missed)}")
    return 1 if missed else 0


def check(mutants):
    table = TABLE.read_text(encoding="utf-8")
    problems = []
    with tempfile.TemporaryDirectory(prefix="gyre-mutants-") as folder:
        for mutant in mutants:
            # Only the files it touches, so that `patch` cannot write elsewhere.
            for name in mutant.files:
                target = pathlib.Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
            if not mutant.files or not apply(folder, mutant, "--dry-run"):
                problems.append(f"{mutant.name}: the patch does not apply any more")
            if f"| {mutant.name}: {mutant.fault} |" not in table:
                problems.append(f"{mutant.name}: not in the table of docs/TESTING.md")
    known = {mutant.name for mutant in mutants}
    for name in re.findall(r"^\| ([a-z-]+): .* \|$", table, re.MULTILINE):
        if name not in known:
            problems.append(f"{name}: in the table of docs/TESTING.md, but not here")
    print("\n".join(problems) or f"{len(mutants)} patches apply")
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "mutants")
    parser.add_argument("--check", action="store_true", help="only see that they apply")
    arguments = parser.parse_args()
    mutants = [Mutant(path) for path in sorted(FOLDER.glob("*.patch"))]
    unknown = set(arguments.names) - {mutant.name for mutant in mutants}
    if unknown:
        sys.exit(f"no such fault: {', '.join(sorted(unknown))}")
    if arguments.names:
        mutants = [mutant for mutant in mutants if mutant.name in arguments.names]
    sys.exit(check(mutants) if arguments.check else try_all(mutants, arguments.work.resolve()))


if __name__ == "__main__":
    main()
