#!/usr/bin/env python3
"""What the public headers say to a compiler: headers.py --compiler NAME [--root DIR].

All of them compile after the macros of foreign_macros.h, with the names that those leave to use;
and where C++20 is not switched on, the first error says so.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

MACROS = pathlib.Path(__file__).resolve().parent / "foreign_macros.h"
SKIPPED = 77
SENTENCE = "gyre needs C++20"
# What a program writes where X11 has taken the shorter names.
USE = """
bool isOpen(const gyre::TcpConnection& connection) {
  return connection.closeReason() == gyre::CloseReason::NotClosed;
}
bool isRefused(gyre::FrameStatus status) { return status == gyre::FrameStatus::WrongLength; }
bool isRefused(std::error_code error) { return error == gyre::ResolveError::InvalidName; }
gyre::ResolveId query = gyre::ResolveId::NoQuery;
"""
OLD_NAMES = """
static_assert(gyre::CloseReason::None == gyre::CloseReason::NotClosed);
static_assert(gyre::FrameStatus::BadLength == gyre::FrameStatus::WrongLength);
static_assert(gyre::ResolveError::BadName == gyre::ResolveError::InvalidName);
static_assert(gyre::ResolveId::None == gyre::ResolveId::NoQuery);
"""


def compile_text(args, text, *options):
    """What the compiler says of the text; empty when it has nothing to complain of."""
    with tempfile.NamedTemporaryFile("w", suffix=".cc", prefix="gyre-headers-") as source:
        source.write(text)
        source.flush()
        command = [args.compiler, "-fsyntax-only", f"-I{args.root}/include", *options, source.name]
        result = subprocess.run(command, capture_output=True, text=True)
    return result.stderr if result.returncode or result.stderr else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=MACROS.parents[2])
    parser.add_argument("--compiler", required=True)
    args = parser.parse_args()
    if shutil.which(args.compiler) is None:
        print(f"headers.py:1: Skipped\n{args.compiler} is not installed")
        return SKIPPED

    headers = sorted((args.root / "include").rglob("*.h"))
    includes = "".join(f"#include <{header.relative_to(args.root / 'include')}>\n"
                       for header in headers)
    warnings = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    complaints = []
    for name, text in {"new": includes + USE, "old": includes + OLD_NAMES}.items():
        macros = [f"-include{MACROS}"] if name == "new" else []
        complaint = compile_text(args, text, *warnings, *macros)
        if complaint:
            complaints.append(f"with the {name} names:\n{complaint}")
    said = compile_text(args, includes, "-std=c++17")
    first = next((line for line in said.splitlines() if "error:" in line), "nothing")
    if SENTENCE not in first:
        complaints.append(f"without C++20 the first error is: {first}")
    print("\n".join(complaints))
    return 1 if complaints or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
