#!/usr/bin/env python3
"""bench/run.py: measures servers against each other, one CPU each for server and load.

    bench/run.py floor      gyre against the hand-written programs
    bench/run.py peers      … and against servers on other libraries (--quick: about 6 minutes)
    bench/run.py engines    gyre on io_uring against gyre on epoll
    bench/run.py loops      one I/O loop against two
    bench/run.py micro      functors, timers and broadcasts inside a loop
    bench/run.py all        all of these, and the page
    bench/run.py page       writes docs/BENCHMARKS.md from what those have left in build/bench/

The servers take turns within each round, so that what disturbs the machine disturbs all of them;
ratios are paired by round. Every server must pass the correctness checks before it is timed.
"""

import argparse
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True  # The source tree stays as it is.

from harness import page, workloads  # noqa: E402
from harness.campaign import Campaign  # noqa: E402
from harness.machine import Patience, preferred  # noqa: E402
from harness.measure import Plan  # noqa: E402
from harness.servers import (BenchError, FLOOR_PROGRAMS, PEERS, custom_server,  # noqa: E402
                             find_program, known_servers)

ROOT = Path(__file__).resolve().parent.parent
CURE = "build with ./dev build release, ./dev bench peers builds the others"


@dataclass(frozen=True)
class Preset:
    help: str
    servers: tuple
    workloads: tuple
    rounds: int
    seconds: float
    traced: tuple = ()  # workloads whose system calls are counted


PRESETS = {
    "floor": Preset("gyre against the hand-written programs",
                    ("gyre", "gyre_epoll", *FLOOR_PROGRAMS), workloads.FLOOR, 5, 3.0),
    "peers": Preset("gyre against the hand-written programs and servers on other libraries",
                    ("gyre", "gyre_epoll", *FLOOR_PROGRAMS, *PEERS), workloads.FULL, 5, 3.0,
                    ("64x50", "64x800", "64x50d16", "16kx50")),
    "engines": Preset("gyre on io_uring against gyre on epoll",
                      ("gyre_uring", "gyre_epoll"), workloads.ENGINES, 5, 2.0, workloads.ENGINES),
    "loops": Preset("gyre with one I/O loop against two, not pinned",
                    ("gyre_1loop", "gyre_2loops"), workloads.LOOPS, 5, 2.0),
}
QUICK = Preset("", PRESETS["peers"].servers, workloads.QUICK, 3, 1.0, ("64x50",))


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, preset in PRESETS.items():
        add_options(commands.add_parser(name, help=preset.help))
    for name, text in (("micro", "functors, timers and broadcasts inside a loop"),
                       ("all", "peers, engines, loops, micro and the page")):
        add_options(commands.add_parser(name, help=text))
    writer = commands.add_parser("page", help="write docs/BENCHMARKS.md from the results")
    writer.add_argument("--out", type=Path, default=ROOT / "build" / "bench", metavar="FOLDER")
    writer.add_argument("--docs", type=Path, default=ROOT / "docs", metavar="FOLDER")
    return parser.parse_args(argv)


def add_options(command):
    command.add_argument("--quick", action="store_true", help="fewer, shorter windows")
    command.add_argument("--rounds", type=int, help="at least")
    command.add_argument("--rounds-max", type=int, metavar="N",
                         help="while the 95 %% interval of gyre ÷ floor is wider than ±3 %%")
    command.add_argument("--seconds", type=float, help="of each measured window")
    command.add_argument("--warmup", type=float, default=0.3, help="seconds before each window")
    command.add_argument("--servers", help="comma-separated names; default: all that are built")
    command.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="one more server; it must print 'listening on HOST:PORT'",
    )
    command.add_argument("--workloads", help="comma-separated: " + workloads.FORMS)
    command.add_argument("--out", type=Path, default=ROOT / "build" / "bench", metavar="FOLDER",
                         help="for COMMAND.json and COMMAND.svg")
    command.add_argument("--build-dir", type=Path, default=ROOT / "build" / "release")
    command.add_argument("--cpus", default="0,1", help="CPU of the server, CPU of the load")
    command.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="in all, for waiting until the machine is quiet (default: 60, 15 for --quick)",
    )
    command.add_argument(
        "--preferred",
        action="store_true",
        help="run before other sessions (root), for a machine that does not become quiet",
    )
    command.add_argument("--skip-checks", action="store_true", help="time without verifying")


def choose_servers(arguments, preset):
    known = known_servers(arguments.build_dir)
    for text in arguments.server:
        spec = custom_server(text)
        known[spec.name] = spec
    extra = tuple(text.partition("=")[0] for text in arguments.server)
    if arguments.servers is None:
        names = [name for name in preset.servers if name in known] + list(extra)
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


def choose_plan(arguments, preset):
    load_program = find_program(arguments.build_dir, "gyre")
    if load_program is None:
        raise BenchError(f"no program gyre below {arguments.build_dir}; {CURE}")
    cpus = tuple(int(cpu) for cpu in arguments.cpus.split(","))
    if len(cpus) != 2 or not set(cpus) <= os.sched_getaffinity(0):
        raise BenchError(f"--cpus wants two CPUs that this process may use, not {arguments.cpus}")
    patience = arguments.patience
    if patience is None:
        patience = 15.0 if arguments.quick else 60.0
    return Plan(
        load_program=load_program,
        seconds=arguments.seconds or preset.seconds,
        warmup=arguments.warmup,
        server_cpu=cpus[0],
        load_cpu=cpus[1],
        patience=Patience(patience),
    )


def run_campaign(arguments):
    preset = QUICK if arguments.quick else PRESETS[arguments.command]
    if arguments.quick and arguments.command != "peers":
        chosen = PRESETS[arguments.command]
        preset = Preset("", chosen.servers, chosen.workloads, 3, 1.0, chosen.traced)
    names = arguments.workloads.split(",") if arguments.workloads else preset.workloads
    rounds = arguments.rounds or preset.rounds
    campaign = Campaign(
        name=arguments.command,
        specs=choose_servers(arguments, preset),
        workloads=[workloads.Workload.parse(name) for name in names if name],
        plan=choose_plan(arguments, preset),
        rounds=rounds,
        rounds_max=max(rounds, arguments.rounds_max or rounds),
        traced=preset.traced,
    )
    with preferred() if arguments.preferred else nullcontext():
        campaign.run(with_checks=not arguments.skip_checks)
    campaign.write(arguments.out)


def run_micro(arguments):
    program = find_program(arguments.build_dir, "micro")
    if program is None:
        raise BenchError(f"no program micro below {arguments.build_dir}; {CURE}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with preferred() if arguments.preferred else nullcontext():
        done = subprocess.run((str(program),), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"micro ended with status {done.returncode}")
    print(done.stdout, end="")
    (arguments.out / "micro.json").write_text(done.stdout)


def run(arguments):
    command = arguments.command
    if command == "page":
        page.write(arguments.out, arguments.docs)
    elif command == "micro":
        run_micro(arguments)
    elif command == "all":
        for arguments.command in ("peers", "engines", "loops", "micro"):
            run(arguments)
        page.write(arguments.out, ROOT / "docs")
    else:
        run_campaign(arguments)


def main(argv):
    arguments = parse_arguments(argv)
    try:
        run(arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
