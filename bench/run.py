#!/usr/bin/env python3
"""bench/run.py: measures servers against each other, one CPU each for server and load.

    bench/run.py floor      gyre against the hand-written programs
    bench/run.py peers      … and against servers on other libraries: CPU per message, streams,
                            connects, broadcasts, memory; the verdicts on the goals
    bench/run.py latency    p99 when as much is due of every server
    bench/run.py user       CPU in user space per message
    bench/run.py engines    gyre on io_uring against gyre on epoll
    bench/run.py loops      one I/O loop against two
    bench/run.py micro      functors, timers, the timing wheel and broadcasts inside a loop
    bench/run.py all        all of these but floor, and the page
    bench/run.py page       writes docs/BENCHMARKS.md from what those have left in build/bench/

The servers take turns within each round, so that what disturbs the machine disturbs all of them;
ratios are paired by round. Every server must pass the correctness checks before it is timed.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True  # The source tree stays as it is.

from harness import page, report, workloads  # noqa: E402
from harness.campaign import MEMORY_ROUNDS, Campaign  # noqa: E402
from harness.latency import LatencyCampaign  # noqa: E402
from harness.machine import Patience, preferred  # noqa: E402
from harness.measure import Plan  # noqa: E402
from harness.servers import (BenchError, FLOOR_PROGRAMS, PEERS, custom_server,  # noqa: E402
                             find_program, known_servers)
from harness.user import UserCampaign  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
CURE = "build with ./dev build release, ./dev bench peers builds the others"


@dataclass(frozen=True)
class Preset:
    help: str
    servers: tuple
    workloads: tuple
    rounds: int
    rounds_max: int
    seconds: float
    traced: tuple = ()  # workloads whose system calls are counted


ALL = ("gyre", "gyre_epoll", *FLOOR_PROGRAMS, *PEERS)
# Noise comes in bursts of a fraction of a second, so many short windows tell more than few long
# ones. In the same 15 s of gyre and uring_echo at 64x50, taken in turn, half the 95 % interval of
# the median ratio was 0.5 % with windows of 0.05 s, 0.6 % with 0.1 s, 0.8 % with 0.2 s and 1.2 %
# with 0.4 s; the median itself did not move. 0.1 s, because larger messages come more rarely;
# WARMUP is what each window costs beside. Thousands of connections take 0.06 s for one turn of all,
# so their windows are longer (Workload.stretch).
WINDOW = 0.1
WARMUP = 0.03

PRESETS = {
    "floor": Preset("gyre against the hand-written programs",
                    ("gyre", "gyre_epoll", *FLOOR_PROGRAMS), workloads.FLOOR, 32, 192, WINDOW),
    "peers": Preset("gyre against the hand-written programs and servers on other libraries",
                    ALL, workloads.FULL, 32, 96, WINDOW,
                    ("64x50", "64x800", "64x50d16", "16kx50")),
    "latency": Preset("p99 when as much is due of every server", ALL, workloads.LATENCY, 9, 9, 1.0),
    "user": Preset("CPU in user space per message", ALL, workloads.USER, 0, 0, 0.5),
    "engines": Preset("gyre on io_uring against gyre on epoll", ("gyre_uring", "gyre_epoll"),
                      workloads.ENGINES, 32, 96, WINDOW, workloads.ENGINES),
    "loops": Preset("gyre with one I/O loop against two, not pinned",
                    ("gyre_1loop", "gyre_2loops"), workloads.LOOPS, 32, 96, WINDOW),
}
QUICK = {  # rounds, rounds_max, seconds
    "latency": (3, 3, 0.5),
    "user": (0, 0, 0.25),
}
QUICK_DEFAULT = (12, 12, WINDOW)
MICRO_PROGRAMS = ("micro", "micro_libuv", "micro_libevent", "micro_asio")
USER_CPU_SECONDS, USER_CPU_SECONDS_QUICK = 60.0, 6.0


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, preset in PRESETS.items():
        add_options(commands.add_parser(name, help=preset.help))
    for name, text in (("micro", "functors, timers, the wheel and broadcasts inside a loop"),
                       ("all", "all of these but floor, and the page")):
        add_options(commands.add_parser(name, help=text))
    writer = commands.add_parser("page", help="write docs/BENCHMARKS.md from the results")
    writer.add_argument("--out", type=Path, default=ROOT / "build" / "bench", metavar="FOLDER")
    writer.add_argument("--docs", type=Path, default=ROOT / "docs", metavar="FOLDER")
    return parser.parse_args(argv)


def add_options(command):
    command.add_argument("--quick", action="store_true", help="fewer, shorter windows")
    command.add_argument("--rounds", type=int, help="at least")
    command.add_argument("--rounds-max", type=int, metavar="N",
                         help="while the 95 %% interval of gyre ÷ best floor or peer is wider than"
                              " ±3 %%")
    command.add_argument("--precision", type=float, default=100 * report.PRECISE, metavar="PERCENT",
                         help="instead of those 3 %%")
    command.add_argument("--seconds", type=float, help="of each measured window")
    command.add_argument("--warmup", type=float, default=WARMUP,
                         help="seconds before each window")
    command.add_argument("--cpu-seconds", type=float, help="of each server that user watches")
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
    crowd_program = find_program(arguments.build_dir, "crowd")
    if load_program is None or crowd_program is None:
        raise BenchError(f"no programs gyre and crowd below {arguments.build_dir}; {CURE}")
    cpus = tuple(int(cpu) for cpu in arguments.cpus.split(","))
    if len(cpus) != 2 or not set(cpus) <= os.sched_getaffinity(0):
        raise BenchError(f"--cpus wants two CPUs that this process may use, not {arguments.cpus}")
    patience = arguments.patience
    if patience is None:
        patience = 15.0 if arguments.quick else 60.0
    return Plan(
        load_program=load_program,
        crowd_program=crowd_program,
        seconds=arguments.seconds or preset.seconds,
        warmup=arguments.warmup,
        server_cpu=cpus[0],
        load_cpu=cpus[1],
        patience=Patience(patience),
    )


def run_campaign(arguments):
    preset = PRESETS[arguments.command]
    if arguments.quick:
        rounds, rounds_max, seconds = QUICK.get(arguments.command, QUICK_DEFAULT)
        preset = replace(preset, rounds=rounds, rounds_max=rounds_max, seconds=seconds,
                         traced=preset.traced[:1])
    campaign = make_campaign(arguments, preset)
    with preferred() if arguments.preferred else nullcontext():
        campaign.run(with_checks=not arguments.skip_checks)
    campaign.write(arguments.out)


def make_campaign(arguments, preset):
    names = arguments.workloads.split(",") if arguments.workloads else preset.workloads
    chosen = [workloads.Workload.parse(name) for name in names if name]
    specs, plan = choose_servers(arguments, preset), choose_plan(arguments, preset)
    rounds = arguments.rounds or preset.rounds
    if arguments.command == "latency":
        plan = replace(plan, warmup=max(plan.warmup, 0.2))  # Fresh connections each time.
        return LatencyCampaign(specs, chosen, plan, rounds)
    if arguments.command == "user":
        usual = USER_CPU_SECONDS_QUICK if arguments.quick else USER_CPU_SECONDS
        return UserCampaign(specs, chosen, plan, arguments.cpu_seconds or usual)
    return Campaign(
        name=arguments.command,
        specs=specs,
        workloads=chosen,
        plan=plan,
        rounds=rounds,
        rounds_max=max(rounds, arguments.rounds_max or preset.rounds_max),
        precision=arguments.precision / 100,
        traced=preset.traced,
        memory_rounds=1 if arguments.quick else MEMORY_ROUNDS,
    )


def run_micro(arguments):
    results = []
    with preferred() if arguments.preferred else nullcontext():
        for name in MICRO_PROGRAMS:
            program = find_program(arguments.build_dir, name)
            if program is None and name == "micro":
                raise BenchError(f"no program micro below {arguments.build_dir}; {CURE}")
            if program is None:
                continue
            done = subprocess.run((str(program),), stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                raise BenchError(f"{name} ended with status {done.returncode}")
            library = "gyre" if name == "micro" else name.removeprefix("micro_")
            results += [{"library": library, **one} for one in json.loads(done.stdout)["results"]]
    for one in results:
        print(f"{one['nanoseconds']:10.1f} ns  {one['library']:<9} {one['what']}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    document = {"name": "micro", "results": results}
    (arguments.out / "micro.json").write_text(json.dumps(document, indent=1) + "\n")


def run(arguments):
    command = arguments.command
    if command == "page":
        page.write(arguments.out, arguments.docs)
    elif command == "micro":
        run_micro(arguments)
    elif command == "all":
        for arguments.command in ("peers", "latency", "user", "engines", "loops", "micro"):
            run(arguments)
            arguments.skip_checks = True  # Every server has passed.
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
