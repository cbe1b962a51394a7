#!/usr/bin/env python3
"""Looks for an installed gyre where what it needs is missing: found is false, nothing is fatal."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(optional LANGUAGES CXX)
@missing@
find_package(gyre @wish@)
message(STATUS "found [${gyre_FOUND}] because [${gyre_NOT_FOUND_MESSAGE}]")
foreach(target gyre names service)
  if(TARGET gyre::${target})
    message(STATUS "has gyre::${target}")
  endif()
endforeach()
"""
NO_MODULES = 'set(ENV{PKG_CONFIG_LIBDIR} "/nonexistent")'
NO_SPDLOG = "set(CMAKE_DISABLE_FIND_PACKAGE_spdlog ON)"
NO_PKG_CONFIG = "set(CMAKE_DISABLE_FIND_PACKAGE_PkgConfig ON)"
# What is missing, what is asked for, and the word that names the cause.
MISSING = (
    (NO_SPDLOG, "", "spdlog"),
    (NO_MODULES, "COMPONENTS names", "libcares"),
    (NO_MODULES, "COMPONENTS service", "libsystemd"),
    (NO_PKG_CONFIG, "COMPONENTS names", "PkgConfig"),
    ("", "COMPONENTS wand", "no component wand"),
)


def configure(args, scratch, missing, wish):
    """The exit status and the output of a project that looks for gyre."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    text = PROJECT.replace("@missing@", missing).replace("@wish@", wish)
    (folder / "CMakeLists.txt").write_text(text)
    command = [args.cmake, "-S", folder, "-B", folder / "build", "-G", "Ninja",
               f"-DCMAKE_PREFIX_PATH={scratch / 'prefix'}"]
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("PKG_CONFIG")}
    result = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="install from this build tree")
    parser.add_argument("--cmake", default="cmake")
    args = parser.parse_args()
    complaints = []
    with tempfile.TemporaryDirectory(prefix="gyre-package-") as folder:
        scratch = pathlib.Path(folder)
        subprocess.run([args.cmake, "--install", args.build, "--prefix", scratch / "prefix"],
                       check=True, stdout=subprocess.DEVNULL)
        for missing, wish, word in MISSING:
            status, output = configure(args, scratch, missing, f"QUIET {wish}")
            found = next((line for line in output.splitlines() if "found [" in line), output)
            said = "" if "because [" not in found else found.split("because [")[1]
            if status != 0 or "Warning" in output or "found [TRUE]" in found or word not in said:
                complaints.append(f"{missing}, QUIET {wish}: status {status}\n{output}")
        status, output = configure(args, scratch, NO_MODULES, "REQUIRED COMPONENTS names")
        if status == 0 or "libcares" not in output or "libc-ares-dev" not in output:
            complaints.append(f"{NO_MODULES}, REQUIRED: status {status}\n{output}")
        # The core needs neither pkg-config nor what it would find.
        for missing in (NO_MODULES, NO_PKG_CONFIG):
            status, output = configure(args, scratch, missing, "REQUIRED")
            if status != 0 or "has gyre::gyre" not in output or "has gyre::names" in output:
                complaints.append(f"{missing}, the core: status {status}\n{output}")
    print("\n".join(complaints) or "ok")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
