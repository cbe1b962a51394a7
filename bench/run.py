#!/usr/bin/env python3
"""bench/run.py: measures echo servers against each other, one CPU each for server and load.

    bench/run.py floor [--rounds 5] [--seconds 3] [--servers a,b] [--workloads 64x50,16kx50]

The servers take turns within each round, so that what disturbs the machine disturbs all of them;
ratios are paired by round. Every server must pass the correctness checks before it is timed.
"""

import argparse
import json
import os
import platform
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True  # The source tree stays as it is.

from harness import checks, report  # noqa: E402
from harness.machine import Patience, preferred  # noqa: E402
from harness.measure import FLOOR_WORKLOADS, Plan, Workload, measure  # noqa: E402
from harness.servers import BenchError, custom_server, find_program, known_servers  # noqa: E402

DEFAULT_BUILD_DIR = Path(__file__).resolve().parent.parent / "build" / "release"
CURE = "build with ./dev build release"
DEFAULT_SERVERS = ("gyre", "gyre_epoll", "uring_echo", "epoll_echo")


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    floor = commands.add_parser("floor", help="gyre against the hand-written programs")
    floor.add_argument("--rounds", type=int, default=5)
    floor.add_argument("--seconds", type=float, default=3.0, help="of each measured window")
    floor.add_argument("--warmup", type=float, default=0.3, help="seconds before each window")
    floor.add_argument("--servers", help="comma-separated names; default: all that are built")
    floor.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="one more server; it must print 'listening on HOST:PORT'",
    )
    floor.add_argument("--workloads", default=",".join(FLOOR_WORKLOADS))
    floor.add_argument("--json", metavar="FILE", help="write all samples and the summary")
    floor.add_argument("--build-dir", type=Path, default=DEFAULT_BUILD_DIR)
    floor.add_argument("--cpus", default="0,1", help="CPU of the server, CPU of the load")
    floor.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="in all, for waiting until the machine is quiet",
    )
    floor.add_argument(
        "--preferred",
        action="store_true",
        help="run before other sessions (root), for a machine that does not become quiet",
    )
    floor.add_argument("--skip-checks", action="store_true", help="time without verifying")
    return parser.parse_args(argv)


def choose_servers(arguments):
    known = known_servers(arguments.build_dir)
    for text in arguments.server:
        spec = custom_server(text)
        known[spec.name] = spec
    extra = tuple(text.partition("=")[0] for text in arguments.server)
    if arguments.servers is None:
        names = [name for name in DEFAULT_SERVERS if name in known] + list(extra)
    else:
        names = [name for name in arguments.servers.split(",") if name]
        names += [name for name in extra if name not in names]
    missing = [name for name in names if name not in known]
    if missing:
        raise BenchError(
            f"no such server below {arguments.build_dir}: {', '.join(missing)}"
            f" (there are: {', '.join(known) or 'none'}); {CURE}"
        )
    if not names:
        raise BenchError(f"no server below {arguments.build_dir}; {CURE}")
    return [known[name] for name in names]


def choose_plan(arguments):
    load_program = find_program(arguments.build_dir, "load")
    if load_program is None:
        raise BenchError(f"no load client below {arguments.build_dir}; {CURE}")
    cpus = tuple(int(cpu) for cpu in arguments.cpus.split(","))
    if len(cpus) != 2 or not set(cpus) <= os.sched_getaffinity(0):
        raise BenchError(f"--cpus wants two CPUs that this process may use, not {arguments.cpus}")
    return Plan(
        load_program=load_program,
        seconds=arguments.seconds,
        warmup=arguments.warmup,
        server_cpu=cpus[0],
        load_cpu=cpus[1],
        patience=Patience(arguments.patience),
    )


def run_rounds(specs, workloads, plan, rounds):
    samples = []
    for number in range(rounds):
        for workload in workloads:
            for spec in specs:
                sample = measure(spec, workload, plan, number)
                samples.append(sample)
                print(
                    f"round {number + 1}/{rounds}  {workload.name:>10}  {spec.name:<12}"
                    f"  {sample.server_cpu:9.3f} µs  foreign {sample.foreign:.2f}",
                    file=sys.stderr,
                )
    return samples


def write_json(path, arguments, samples, rows):
    document = {
        "kernel": platform.release(),
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "summary": rows,
        "samples": [sample.as_dict() for sample in samples],
    }
    Path(path).write_text(json.dumps(document, indent=1) + "\n")


def run_floor(arguments):
    specs = choose_servers(arguments)
    plan = choose_plan(arguments)
    workloads = [Workload.parse(text) for text in arguments.workloads.split(",") if text]
    if not arguments.skip_checks:
        for spec in specs:
            checks.verify(spec, plan.load_program, plan.server_cpu)
            print(f"{spec.name}: echoes correctly", file=sys.stderr)
    with preferred() if arguments.preferred else nullcontext():
        samples = run_rounds(specs, workloads, plan, arguments.rounds)
    rows = report.summarize(samples, [spec.name for spec in specs if spec.is_floor])
    print(report.format_table(rows))
    if arguments.json:
        write_json(arguments.json, arguments, samples, rows)


def main(argv):
    arguments = parse_arguments(argv)
    try:
        run_floor(arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
