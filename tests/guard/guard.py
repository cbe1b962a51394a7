#!/usr/bin/env python3
"""Counts what a message costs and fails when it is more than the budget in budgets.json.

    tests/guard/guard.py [COUNT...] [--program FILE] [--accept]

COUNT is instructions.sim, instructions.uring, instructions.epoll, calls.uring or calls.epoll; all
of them unless said. Instructions are counted by callgrind, in user space, per message, and told
apart by floor; system calls by strace. --accept makes what is counted the new budget.

Counted are real figures, not seconds: they hardly differ between two runs, so 5 % more is seen on
any machine, however busy. Where a test of the real engines fails all the same it is repeated, and
the lowest figures count.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import counts
import judge

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUDGETS = pathlib.Path(__file__).resolve().with_name("budgets.json")
COUNTS = ("instructions.sim", "instructions.uring", "instructions.epoll", "calls.uring",
          "calls.epoll")
# In the simulation the rest serves the simulator too.
PARTS = {"sim": ("loop", "net")}
ALL_PARTS = (*counts.FLOORS, "library")
ATTEMPTS = 3
SECONDS = 100
SKIPPED = 77
# libc chooses its memcpy by the processor: this one is in all of them, and its cost grows with the
# bytes. Valgrind counts `rep movsb` byte by byte.
PLAIN_MEMCPY = "glibc.cpu.hwcaps=-AVX2,-AVX512VL,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM"


class Skip(Exception):
    pass


def run(command, **options):
    if not shutil.which(command[0]):
        sys.exit(f"guard: {command[0]} is not installed: ./dev test installs it")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=SECONDS, check=False, **options)
    if done.returncode == SKIPPED:
        raise Skip(done.stdout.strip())
    if done.returncode != 0:
        sys.exit(f"guard: {' '.join(command)}: status {done.returncode}\n{done.stdout}"
                 f"{done.stderr}")
    return done.stdout


def count_instructions(program, engine, folder):
    environment = {**os.environ, "GLIBC_TUNABLES": PLAIN_MEMCPY}
    run(["valgrind", "--quiet", "--tool=callgrind", "--collect-atstart=no", "--dump-line=no",
         "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={folder}/callgrind",
         str(program), engine, "instructions"], env=environment)
    loads = {}
    for path in sorted(pathlib.Path(folder).glob("callgrind.*")):
        with path.open(encoding="utf-8") as lines:
            load, parts = counts.read_callgrind(lines)
        loads[load] = {part: functions for part, functions in parts.items()
                       if part in PARTS.get(engine, ALL_PARTS)}
    return loads


def count_calls(program, engine, folder):
    log = pathlib.Path(folder) / "strace"
    run(["strace", "-f", "-qq", "-s", "200", "-e", "signal=none", "-o", str(log), str(program),
         engine, "calls"])
    with log.open(encoding="utf-8", errors="replace") as lines:
        return counts.read_strace(lines)


def count(program, what):
    kind, engine = what.split(".")
    with tempfile.TemporaryDirectory(prefix="gyre-guard-") as folder:
        measure = count_instructions if kind == "instructions" else count_calls
        return measure(program, engine, folder)


def build_of(program):
    return f"{run([str(program), 'build']).strip()}, {platform.machine()}"


def check(program, what, budgets):
    """Prints what there is to say; 0 when nothing costs more than it may."""
    kind, engine = what.split(".")
    build = build_of(program)
    verdict = judge.judge
    if kind == "instructions" and build != budgets["build"]:
        verdict = judge.judge_foreign
        print(f"{what}: the budgets are those of {budgets['build']}; this is {build}: "
              f"{judge.FOREIGN_TOLERANCE:.0%} more pass, of all floors together")
    counted = count(program, what)
    complaints, remarks = verdict(kind, counted, budgets[what])
    attempts = 1 if engine == "sim" else ATTEMPTS
    while complaints and (attempts := attempts - 1):
        counted = judge.lowest(counted, count(program, what))
        complaints, remarks = verdict(kind, counted, budgets[what])
    for remark in remarks:
        print(f"{what}: {remark}: less than it was, worth to be noted (--accept)")
    for complaint in complaints:
        print(f"{what}: {complaint}")
    if complaints:
        print(f"{what}: dearer than the budget. If it is worth that: "
              f"{pathlib.Path(__file__).resolve().relative_to(ROOT)} --accept {what}")
    else:
        print(f"{what}: {len(counted)} loads within their budgets")
    return 1 if complaints else 0


def check_or_skip(program, what, budgets):
    try:
        return check(program, what, budgets)
    except Skip as skip:
        print(f"guard:0: Skipped\n{skip}\n")  # as GoogleTest says it
        return SKIPPED


def accept(program, whats, budgets):
    build = build_of(program)
    if budgets.get("build") != build:
        whats = COUNTS  # all are of one build
    budgets["build"] = build
    for what in whats:
        budgets[what] = judge.totals(count(program, what))
    BUDGETS.write_text(json.dumps(budgets, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", metavar="COUNT", help=", ".join(COUNTS))
    parser.add_argument("--program", type=pathlib.Path,
                        default=ROOT / "build" / "release" / "bin" / "gyre_guard")
    parser.add_argument("--accept", action="store_true", help="rewrites budgets.json")
    arguments = parser.parse_args()
    whats = arguments.counts or COUNTS
    if unknown := set(whats) - set(COUNTS):
        parser.error(f"no such count: {', '.join(sorted(unknown))}")
    budgets = json.loads(BUDGETS.read_text(encoding="utf-8")) if BUDGETS.exists() else {}
    if arguments.accept:
        try:
            return accept(arguments.program, whats, budgets)
        except Skip as skip:
            sys.exit(f"guard: nothing was changed: {skip}")
    results = [check_or_skip(arguments.program, what, budgets) for what in whats]
    sys.exit(1 if 1 in results else max(results))


if __name__ == "__main__":
    main()
