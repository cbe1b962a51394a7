"""rules_text: what the eye would check in one file: format, sizes, words, names."""

import re
import subprocess

from functions import find_functions

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 500
EXAMPLE_LINES_MAX = 99  # an example is read in one go
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
FORBIDDEN_FOLDERS = {"utils", "util", "common", "helpers", "misc"}
FORBIDDEN_WORDS = re.compile(r"\b(FIXME|XXX)\b|\b(TODO\(now\))")
WALL_CLOCKS = re.compile(r"\b(system_clock|CLOCK_REALTIME|gettimeofday)\b")
SPANS = re.compile(r"(?<!<)\bstd::chrono::(hours|minutes|seconds|milliseconds|microseconds)"
                   r"\s+\w+\s*[{;,)=]")
PARAMETERS = re.compile(r"\bDuration \w+[,)]")
OF_USERS = ("include/gyre/co", "include/gyre/net")
UNLIMITED_LINES = re.compile(
    r"(?<![\w.>])(log|logFormatted|fprintf|printf|perror)\(|std::(cerr|cout)\b")
SPEAKS_OF_THE_WORDS = ("tests/structure/",)


def check_format(tree, clang_format):
    files = [str(file.path) for file in tree.cpp]
    if not clang_format or clang_format.endswith("NOTFOUND"):
        yield "clang-format is not installed: ./dev test installs it"
    elif files:
        result = subprocess.run([clang_format, "--dry-run", "--Werror", "--style=file", *files],
                                cwd=tree.root, capture_output=True, text=True)
        unformatted = re.findall(r"^(.+?):(\d+):\d+: error: .*clang-format-violations",
                                 result.stderr, re.MULTILINE)
        seen = set()
        for path, line in unformatted:
            if path not in seen:
                seen.add(path)
                name = path.removeprefix(f"{tree.root}/")
                yield f"{name}:{line}: not formatted from here on: run ./dev format"
        if result.returncode and not unformatted:
            yield f"clang-format failed: {result.stderr.strip()}"


def _lines_max(file):
    if file.is_in("examples"):
        return EXAMPLE_LINES_MAX
    return TEST_FILE_LINES_MAX if file.is_in("tests") else FILE_LINES_MAX


def check_sizes(tree):
    for file in tree.files:
        if file.path.suffix in (".h", ".cc", ".py"):
            limit = _lines_max(file)
            if len(file.lines) > limit:
                yield (f"{file.name}:{limit + 1}: the file has {len(file.lines)} lines, at most "
                       f"{limit}: split it by responsibility")


def check_columns(tree):
    for file in tree.files:
        if file.path.suffix != ".json":
            for number, line in enumerate(file.lines, 1):
                if len(line) > COLUMNS_MAX:
                    yield (f"{file.name}:{number}: {len(line)} columns, at most {COLUMNS_MAX}: "
                           "break the line")


def check_functions(tree):
    for file in tree.cpp:
        for name, first, last in find_functions(file.code):
            length = last - first + 1
            if length > FUNCTION_LINES_MAX:
                yield (f"{file.name}:{first}: {name} has {length} lines, at most "
                       f"{FUNCTION_LINES_MAX}: give its steps names")


def check_log_lines(tree):
    """A line that a peer can cause must not flood the log: only the limited forms are used."""
    for file in tree.cpp:
        if not file.is_in("src") or file.is_in("src/base"):
            continue
        for number, line in enumerate(file.code.splitlines(), 1):
            match = UNLIMITED_LINES.search(line)
            if match:
                yield (f"{file.name}:{number}: '{match.group()}' is not limited to a line per "
                       "second: use logInfo, logWarn or logError of base/LogFormat.h")


def check_clocks(tree):
    """Time that somebody may set has no place in what waits, and must not jump under it."""
    for file in tree.cpp:
        if not file.is_in("include", "src"):
            continue
        for number, line in enumerate(file.lines, 1):
            match = WALL_CLOCKS.search(line)
            if match:
                yield f"{file.name}:{number}: '{match.group()}' may jump: use Proactor::now()"


def check_spans(tree):
    """A span in another unit than the clock's overflows on its way there: a TimeSpan cannot."""
    for file in tree.cpp:
        if not file.is_header or not file.is_in("include", "src"):
            continue
        for number, line in enumerate(file.lines, 1):
            code = line.split("//")[0]
            match = SPANS.search(code)
            if not match and file.name.startswith(OF_USERS):
                match = PARAMETERS.search(code)
            if match and "constexpr" not in line:
                yield (f"{file.name}:{number}: '{match.group()}' overflows when it is converted: "
                       "take a TimeSpan")


def check_words(tree):
    for file in tree.files:
        if file.name.startswith(SPEAKS_OF_THE_WORDS):
            continue
        for number, line in enumerate(file.lines, 1):
            match = FORBIDDEN_WORDS.search(line)
            if match:
                yield (f"{file.name}:{number}: '{match.group()}': do it now, or say "
                       "TODO(kind): what is missing and when it matters")


def check_folders(tree):
    for folder in tree.folders():
        if folder.rsplit("/", 1)[-1].lower() in FORBIDDEN_FOLDERS:
            yield f"{folder}:1: a folder of no subject: name it after what it holds"


def check_first_lines(tree):
    for file in tree.cpp:
        if file.is_header and file.is_in("include", "src"):
            stem = file.path.stem
            line = file.lines[0] if file.lines else ""
            if not re.fullmatch(rf"// {re.escape(stem)}: \S.*\.", line):
                yield f"{file.name}:1: begin with '// {stem}: one sentence.' on one line"
