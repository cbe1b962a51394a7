#!/usr/bin/env python3
"""Installs gyre into a scratch prefix, and builds and runs programs against what is there."""

import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

CONSUMER = pathlib.Path(__file__).resolve().parent / "consumer"
# Each program, and the packages that pkg-config knows its libraries by.
PROGRAMS = {"consumer": "gyre", "simulated": "gyre-sim", "coroutines": "gyre-co",
            "named": "gyre-names gyre-service"}


def run(command, **options):
    print("+", shlex.join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, text=True, **options)


def build_shared(args, scratch):
    """A build tree of the shared libraries and the program, nothing else."""
    tree = scratch / "shared"
    run([args.cmake, "-S", args.source, "-B", tree, "-G", "Ninja", "-DBUILD_SHARED_LIBS=ON",
         "-DGYRE_BUILD_TESTS=OFF", "-DGYRE_BUILD_BENCH=OFF", "-DGYRE_BUILD_EXAMPLES=OFF",
         f"-DCMAKE_CXX_COMPILER={args.compiler}"])
    run([args.cmake, "--build", tree, "-j2"])
    return tree


def build_with_cmake(args, prefix, scratch):
    tree = scratch / "build"
    run([args.cmake, "-S", CONSUMER, "-B", tree, "-G", "Ninja",
         f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={args.compiler}"])
    run([args.cmake, "--build", tree])
    return [tree / program for program in PROGRAMS]


def build_with_pkg_config(args, prefix, scratch):
    if not pathlib.Path(args.pkg_config).is_file():
        sys.exit("pkg-config is not installed: ./dev installs it")
    (found,) = prefix.rglob("gyre.pc")
    environment = dict(os.environ, PKG_CONFIG_PATH=str(found.parent))
    built = []
    for program, package in PROGRAMS.items():
        query = [args.pkg_config, "--cflags", "--libs", *package.split()]
        if args.linkage == "static":
            query.insert(1, "--static")
        flags = shlex.split(run(query, env=environment, stdout=subprocess.PIPE).stdout)
        built.append(scratch / program)
        run([args.compiler, "-std=c++20", CONSUMER / f"{program}.cc", "-o", built[-1], *flags])
    return built


def main():
    ways = {"cmake": build_with_cmake, "pkgconfig": build_with_pkg_config}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="+", choices=ways, help="how the program finds gyre")
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--build", help="install from this build tree")
    origin.add_argument("--source", help="build the shared library from here first")
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--pkg-config", default="pkg-config")
    parser.add_argument("--linkage", choices=["static", "shared"], default="static")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="gyre-package-") as folder:
        scratch = pathlib.Path(folder)
        prefix = scratch / "prefix"
        build = args.build or build_shared(args, scratch)
        run([args.cmake, "--install", build, "--prefix", prefix], stdout=subprocess.DEVNULL)
        library = next(prefix.rglob("libgyre.*")).parent
        environment = dict(os.environ, LD_LIBRARY_PATH=str(library))
        for way in args.ways:
            for program in ways[way](args, prefix, scratch):
                result = run([program], env=environment, stdout=subprocess.PIPE, timeout=60)
                if result.stdout != "ok\n":
                    sys.exit(f"{program.name} printed {result.stdout!r} instead of 'ok'")


if __name__ == "__main__":
    main()
