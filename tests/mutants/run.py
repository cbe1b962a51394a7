#!/usr/bin/env python3
"""Plants each fault of this folder, alone, and sees which named test catches it.

    tests/mutants/run.py [NAME ...] [--work DIR] [--jobs N] [--record] [--check]

The head of each patch says what the fault is (`fault:`), which test program is to catch it with
which of its tests (`run:`), and, where the fault is in a header, which sources are compiled with
it (`compile:`). The sources are copied to DIR (build/mutants) and built once. For each patch only
the source that it changes is compiled, and linked before the libraries: so the linker does not
take the one without the fault, faults never meet, and N of them are tried at a time. A fault is
caught when a test fails by an assertion or a CHECK; a timeout does not count. Prints a line per
fault, the rows of the table in docs/TESTING.md, and at the end `N caught, N not caught`.

--record writes those rows into the table. --check only sees that every patch still applies, and
that the table names it.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).resolve().parent
TABLE = ROOT / "docs" / "TESTING.md"
SOURCES = ["CMakeLists.txt", "cmake", "include", "src", "tests"]
LINKERS = ["lld", "gold"]
TEST_SECONDS = 120
BASE_SECONDS = 900


class Mutant:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        head, _, diff = path.read_text(encoding="utf-8").partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        self.fault = fields["fault"]
        self.program, self.filter = fields["run"].split(" ", 1)
        self.files = re.findall(r"^\+\+\+ b/(\S+)", diff, re.MULTILINE)
        self.compiled = [name for name in self.files if name.endswith(".cc")]
        self.compiled += fields.get("compile", "").split()


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


def mirror(tree):
    """Writes only what differs, so that nothing is built in vain."""
    names = [path.relative_to(ROOT) for path in sources() if "__pycache__" not in path.parts]
    for name in names:
        wanted = (ROOT / name).read_bytes()
        target = tree / name
        if target.is_file() and target.read_bytes() == wanted:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(wanted)
    for path in sorted(tree.rglob("*")):
        if path.is_file() and path.relative_to(tree) not in names:
            path.unlink()


def plant(mutant, source, folder):
    """Only the files that the patch changes, so that it cannot write elsewhere."""
    for name in mutant.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    command = ["patch", "-p1", "-s", "-f", "--fuzz=0", "--no-backup-if-mismatch", "-r", "-",
               "-i", str(mutant.path)]
    done = subprocess.run(command, cwd=folder, capture_output=True)
    return bool(mutant.files) and done.returncode == 0


# --- Building and running

def linker_flags():
    for linker in LINKERS:
        if shutil.which(f"ld.{linker}"):
            return f"-fuse-ld={linker}"
    return ""


class Build:
    """The build without a fault, and how its objects and programs are made."""

    def __init__(self, work, programs, jobs):
        self.tree = work / "tree"
        self.folder = work / "plain"
        self.configure()
        self.run(["cmake", "--build", str(self.folder), "-j", str(jobs), "--target", *programs])
        entries = json.loads((self.folder / "compile_commands.json").read_text(encoding="utf-8"))
        self.compile_commands = {pathlib.Path(each["file"]): each["command"] for each in entries}
        self.link_commands = {program: self.link_command(program) for program in programs}

    def configure(self):
        command = ["cmake", "-S", str(self.tree), "-B", str(self.folder), "-G", "Ninja",
                   "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g0",
                   f"-DCMAKE_EXE_LINKER_FLAGS={linker_flags()}",
                   "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DGYRE_BUILD_APPS=OFF",
                   "-DGYRE_BUILD_BENCH=OFF", "-DGYRE_BUILD_EXAMPLES=OFF", "-DGYRE_INSTALL=OFF"]
        if shutil.which("ccache"):
            command.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
            os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")
        self.run(command)

    def run(self, command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
        return done.stdout

    def link_command(self, program):
        ninja = ["ninja", "-C", str(self.folder), "-t", "commands", "-s", f"bin/{program}"]
        steps = self.run(ninja)
        links = [step for step in steps.split("&&") if f" -o bin/{program} " in step]
        return shlex.split(links[-1])

    def compile(self, mutant, name, folder):
        """Returns the object without the fault, the one with it, and what the compiler said."""
        command = shlex.split(self.compile_commands[self.tree / name])
        source = folder / name if name in mutant.files else self.tree / name
        output = command.index("-o") + 1
        harmless, command[output] = command[output], str(folder / (name.replace("/", "_") + ".o"))
        planted = command[output]
        command[command.index("-c") + 1] = str(source)
        first = next(i for i, word in enumerate(command) if word.startswith("-I"))
        command[first:first] = [f"-I{folder}/include", f"-I{folder}/src"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return harmless, planted, "" if done.returncode == 0 else done.stderr[-2000:] or "?"

    def make(self, mutant, folder):
        """Returns why it could not be built."""
        command = list(self.link_commands[mutant.program])
        command[command.index("-o") + 1] = str(folder / mutant.program)
        for name in mutant.compiled:
            harmless, planted, problem = self.compile(mutant, name, folder)
            if problem:
                return problem
            place = command.index(harmless) if harmless in command else command.index("-o")
            command[place:place + (harmless in command)] = [planted]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stderr[-2000:]


def run_program(program, pattern, seconds, folder):
    """Returns its status, None after a timeout, and what it wrote. Into files: a process that it
    left behind would keep a pipe open."""
    command = [str(program), f"--gtest_filter={pattern}", "--gtest_fail_fast", "--gtest_color=no"]
    with open(folder / "stdout", "w") as out, open(folder / "stderr", "w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
    texts = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    return status, *texts


def assertion_at(build, place, line):
    """The statement at a line of a test; the compiler was called in the build folder."""
    lines = (build.folder / place).read_text(encoding="utf-8").splitlines()[int(line) - 1:]
    statement = ""
    for each in lines[:6]:
        statement += " " + each.strip()
        if each.rstrip().endswith((";", "{")):
            break
    return statement.strip().rstrip("{;").strip()


def judge(build, status, out, err):
    """What failed first: an expectation or a CHECK."""
    places = list(re.finditer(r"^(\S+\.(?:cc|h)):(\d+): Failure", out, re.MULTILINE))
    before = out[:places[0].start()] if places else out
    running = re.findall(r"\[ RUN      \] ([\w/.]+)", before)
    if places and running:
        statements = [assertion_at(build, *place.groups()) for place in places]
        # Not what waited in vain, where something else tells more.
        telling = [each for each in statements if not each.startswith("ADD_FAILURE")]
        return Verdict(running[-1], (telling or statements)[0])
    check = re.search(r"CHECK failed: (.*)", err)
    if check and running:
        return Verdict(running[-1], "CHECK: " + check.group(1))
    return Verdict(why=f"exit status {status} without a named assertion")


def try_mutant(build, mutant, folder):
    if not plant(mutant, build.tree, folder):
        return Verdict(why="the patch does not apply any more: bring it up to date")
    problem = build.make(mutant, folder)
    if problem:
        return Verdict(why="it does not build:\n" + problem)
    status, out, err = run_program(folder / mutant.program, mutant.filter, TEST_SECONDS, folder)
    if status is None:
        return Verdict(why=f"it hangs for {TEST_SECONDS} s, which does not count")
    if status != 0:
        return judge(build, status, out, err)
    ran = "[ RUN      ]" in out
    return Verdict(why="it survives" if ran else f"no test is called {mutant.filter}")


def try_unharmed(build, program, mutants, folder):
    """The tests must pass without a fault. Returns what failed."""
    pattern = ":".join(mutant.filter for mutant in mutants if mutant.program == program)
    status, out, _ = run_program(build.folder / "bin" / program, pattern, BASE_SECONDS, folder)
    return "" if status == 0 else f"exit status {status}\n{out[-4000:]}"


# --- Commands

def row(mutant, verdict):
    file = ", ".join(mutant.files)
    assertion = verdict.assertion.replace("|", "\\|")
    return f"| {mutant.name}: {mutant.fault} | `{file}` | `{verdict.test}` | `{assertion}` |"


def in_own_folder(work, function, *arguments):
    with tempfile.TemporaryDirectory(dir=work) as folder:
        begin = time.monotonic()
        result = function(*arguments, pathlib.Path(folder))
        return result, f"{time.monotonic() - begin:.0f} s"


def record(rows):
    text = TABLE.read_text(encoding="utf-8")
    head = re.search(r"^\| fault \|.*\n\|[-|]+\n", text, re.MULTILINE)
    table = re.match(r"(\|.*\n)*", text[head.end():]).group(0)
    names = {line.split(":")[0]: line for line in table.splitlines() + rows}
    text = text[:head.end()] + "\n".join(sorted(names.values())) + "\n" + \
        text[head.end() + len(table):]
    TABLE.write_text(text, encoding="utf-8")


def try_all(mutants, work, jobs):
    mirror(work / "tree")
    begin = time.monotonic()
    programs = sorted({mutant.program for mutant in mutants})
    build = Build(work, programs, jobs)
    print(f"built without a fault ({time.monotonic() - begin:.0f} s)", flush=True)
    rows, missed = [], []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        unharmed = {pool.submit(in_own_folder, work, try_unharmed, build, program, mutants): program
                    for program in programs}
        tried = {pool.submit(in_own_folder, work, try_mutant, build, mutant): mutant
                 for mutant in mutants}
        for each in concurrent.futures.as_completed({**unharmed, **tried}):
            result, took = each.result()
            if each in unharmed:
                program = unharmed[each]
                print(f"{program} without a fault: {result or 'passes'} ({took})", flush=True)
                missed += [program] if result else []
            elif result.test is None:
                missed.append(tried[each].name)
                print(f"NOT CAUGHT {tried[each].name}: {result.why} ({took})", flush=True)
            else:
                rows.append(row(tried[each], result))
                print(f"caught {tried[each].name} by {result.test} ({took})", flush=True)
    rows.sort()
    print("\n| fault | file | caught by | its assertion |\n|---|---|---|---|")
    print("\n".join(rows))
    print(f"\n{len(rows)} caught, {len(missed)} not caught {' '.join(sorted(missed))}")
    return rows, missed


def check(mutants):
    table = TABLE.read_text(encoding="utf-8")
    problems = []
    for mutant in mutants:
        with tempfile.TemporaryDirectory(prefix="gyre-mutants-") as folder:
            if not plant(mutant, ROOT, pathlib.Path(folder)):
                problems.append(f"{mutant.name}: the patch does not apply any more")
        if not mutant.compiled:
            problems.append(f"{mutant.name}: the fault is in a header: say what to compile:")
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
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--record", action="store_true", help="write the rows into docs/TESTING.md")
    parser.add_argument("--check", action="store_true", help="only see that they apply")
    arguments = parser.parse_args()
    mutants = [Mutant(path) for path in sorted(FOLDER.glob("*.patch"))]
    unknown = set(arguments.names) - {mutant.name for mutant in mutants}
    if unknown:
        sys.exit(f"no such fault: {', '.join(sorted(unknown))}")
    if arguments.names:
        mutants = [mutant for mutant in mutants if mutant.name in arguments.names]
    if arguments.check:
        sys.exit(check(mutants))
    rows, missed = try_all(mutants, arguments.work.resolve(), arguments.jobs)
    if arguments.record:
        record(rows)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
