"""docs/BENCHMARKS.md, from the results of the campaigns: no figure in it is typed by hand."""

import json
from statistics import median

from harness import plot
from harness.machine import DISTURBED
from harness.report import (BUSY, GOAL_FLOOR, GOAL_PEER, TWIN, mean_text, noise_text,
                            ratio_text)
from harness.servers import BenchError
from harness.stats import verdict
from harness.user import plus_minus
from harness.workloads import Workload

CAMPAIGNS = ("peers", "latency", "user", "engines", "loops", "micro")
TRIED = "benchmarks-tried.md"
METHOD = "benchmarks-method.md"


def write(results, docs):
    """Writes DOCS/BENCHMARKS.md and its pictures."""
    documents = {name: _load(results / f"{name}.json") for name in CAMPAIGNS}
    if not any(documents.values()):
        raise BenchError(f"no results in {results}: run ./dev bench peers first")
    parts = ["# Benchmarks\n"]
    if documents["peers"]:
        if plot.draw_ratios(documents["peers"]["summary"], docs / "benchmarks.svg"):
            parts.append("![Server CPU per message, as a multiple of the best hand-written"
                         " program's](benchmarks.svg)\n")
        parts += [claims(documents["peers"]), _machine(documents["peers"])]
    parts.append(f"How it is measured: [{METHOD}]({METHOD}). What was tried: [{TRIED}]({TRIED}).\n")
    if documents["peers"]:
        parts += _peers(documents["peers"])
    for name, section in (("latency", _latency), ("user", _user), ("engines", _engines),
                          ("loops", _loops), ("micro", _micro)):
        if documents[name]:
            parts += section(documents[name])
    (docs / "BENCHMARKS.md").write_text("\n".join(parts))
    print(f"wrote {docs / 'BENCHMARKS.md'}")
    if documents["peers"]:
        print(f"for README.md:\n\n{_short(documents['peers'])}")


def _load(path):
    return json.loads(path.read_text()) if path.exists() else None


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _number(value, digits=3):
    """With that many digits that count."""
    if value is None:
        return "–"
    decimals = max(0, digits - len(str(int(abs(value)))) if abs(value) >= 1 else digits)
    return f"{value:.{decimals}f}"


def _ratio(ratio):
    if not ratio:
        return "–"
    width = ratio["half_width"]
    if width is None or ratio["ratio"] == 1:
        return f"{ratio['ratio']:.3f}"
    return f"{ratio['ratio']:.3f} ±{100 * width:.1f} %" if width < 1 else "lost in noise"


def _machine(document):
    machine = document["machine"]
    versions = "; ".join(f"{name} {version}" for name, version in machine["versions"].items())
    mitigations = "; ".join(f"{name}: {how}" for name, how in machine["mitigations"].items())
    return (f"{machine['date']}, {machine['cpus']} CPUs ({machine['cpu']}), "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, congestion control "
            f"{machine['congestion']}, qdisc of loopback {machine['qdisc']}, "
            f"{document['stolen']:.1%} of the CPUs' time stolen. {versions}. Mitigations: "
            f"{mitigations or 'none'}.\n")


def _noise(document):
    windows = [s for s in document["samples"] if "foreign" in s]
    if not windows:
        return ""
    disturbed = sum(s["foreign"] >= DISTURBED for s in windows)
    return (f"Noise: {len(windows)} windows of {document['seconds']:g} s; in {disturbed} of them "
            f"others used more than {DISTURBED:.0%} of a CPU (median "
            f"{median(s['foreign'] for s in windows):.2f} CPU, most "
            f"{max(s['foreign'] for s in windows):.2f}). Where most windows are disturbed, "
            "absolute times are too high and only the ratios mean something.\n")


def _echo_rows(document):
    return _of_kind(document, "echo")


def _columns(rows):
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    servers = list(dict.fromkeys(row["server"] for row in rows))
    return workloads, servers, {(row["workload"], row["server"]): row for row in rows}


def _peers(document):
    rows = _echo_rows(document)
    workloads, servers, at = _columns(rows)
    cell = lambda w, s, text: text(at[w, s]) if (w, s) in at else "–"  # noqa: E731
    parts = [_noise(document)] + _goals(document)
    parts.append("## Server CPU per message\n")
    parts.append("Echo; `64x50d16` is 64 B on 50 connections, 16 messages deep. Microseconds, "
                 "median (minimum).\n")
    parts.append(_table(["", *servers], [
        [f"`{w}`", *(cell(w, s, lambda r: f"{_number(r['cpu_median_us'])} "
                          f"({_number(r['cpu_min_us'])})") for s in servers)]
        for w in workloads]))
    parts.append("Ratio to the better of the two hand-written programs of `bench/floor/`.\n")
    parts.append(_table(["", *servers], [
        [f"`{w}`", *(cell(w, s, lambda r: _ratio(r["to_floor"])) for s in servers)]
        for w in workloads]))
    if "gyre_epoll" in servers:
        epoll = [at[w, "gyre_epoll"] for w in workloads if (w, "gyre_epoll") in at]
        parts.append(_epoll_wins(document, epoll))
    parts.append("User-space share of that CPU, from the kernel's ticks.\n")
    parts.append(_table(["", *servers], [
        [f"`{w}`", *(cell(w, s, lambda r: f"{r['user_share']:.0%}") for s in servers)]
        for w in workloads]))
    return parts + _system_calls(document) + _streams(document) + _connects(document) + \
        _broadcasts(document) + _memory(document)


def claims(document):
    """Three sentences that hold by the intervals of this run, noise and all."""
    name = document["reference"]
    peers = [one for one in document["verdicts"] if "to_peer" in one]
    floors = [one["to_floor"] for one in document["verdicts"] if "to_floor" in one]
    ahead = [one["to_peer"] for one in peers if one["to_peer"]["verdict"] == "shown"]
    behind = [one["workload"] for one in peers if one["to_peer"]["verdict"] == "refuted"]
    noise = [one["noise"] for one in document["verdicts"] if one["noise"] is not None]
    text = (f"On {len(ahead)} of {len(peers)} workloads a message costs {name} less CPU than the "
            "best other library measured here")
    if ahead:
        text += f": {_span(one['ratio'] for one in ahead)} of it"
    text += f"; on {_list(behind)} more." if behind else "; on none it was shown to cost more."
    if floors:
        text += (" Against the better of two programs written by hand for nothing but the workload "
                 f"it is {_span(one['ratio'] for one in floors)} times as much.")
    if noise:
        text += (f" Two runs of the same program differ by up to {max(noise):.1%} here, and "
                 "nothing within that of its workload is claimed.")
    return text + "\n"


def _span(values):
    values = sorted(values)
    return f"{values[0]:.2f} to {values[-1]:.2f}"


def _list(names):
    return ", ".join(f"`{name}`" for name in names)


def _goals(document):
    """The reference against its goals, workload by workload."""
    name = document["reference"]
    lines = [[f"`{one['workload']}`", *_goal(one, "to_floor"), *_goal(one, "to_peer"),
              _ratio(one["floor_to_peer"]), noise_text(one["noise"]),
              f"{one['load_ratio']:.2f}, {one['load']}"]
             for one in document["verdicts"]]
    missing = [f"{one['server']} does no `{one['workload']}`: {one['why']}."
               for one in document["not_done"]]
    return [f"## Goals: CPU of {name} at most {GOAL_FLOOR:.2f} × the better floor's and "
            f"{GOAL_PEER:.2f} × the best peer's\n",
            f"Bound: 95 %, one-sided. Noise: how far from 1 the ratio of {name} to itself, started "
            "twice, may be (95 %); nothing is claimed that it makes up for. The last column is the "
            f"CPU of the load ÷ that of {name}, and who uses less than {BUSY:.0%} of its CPU "
            "because it waits for the other.\n",
            _table(["", "floor", "÷ it", "mean", "bound", "", "peer", "÷ it", "mean", "bound", "",
                    "floor ÷ peer", "noise", "load"],
                   lines), *missing, ""]


def _goal(one, key):
    if key not in one:
        return ["–"] * 5
    ratio = one[key]
    return [f"{ratio['base']}", _ratio(ratio), mean_text(ratio), _number(ratio["upper"], 4),
            ratio["verdict"]]


def _short(document):
    """The table for README.md."""
    rows = [row for row in _echo_rows(document) if row["server"] != "gyre_epoll"]
    workloads, servers, at = _columns(rows)
    return "CPU µs per message\n\n" + _table(["", *servers], [
        [f"`{w}`", *(_number(at[w, s]["cpu_median_us"]) for s in servers)] for w in workloads])


def _system_calls(document):
    calls = {(c["workload"], c["server"]): c["per_message"] for c in document["system_calls"]}
    if not calls:
        return []
    workloads = list(dict.fromkeys(workload for workload, _ in calls))
    servers = list(dict.fromkeys(server for _, server in calls))
    return ["## System calls per message\n",
            "Counted in windows of their own with strace attached, which slows every call down and "
            "so makes batches larger than at full speed.\n",
            _table(["", *servers], [[f"`{w}`", *(_number(calls.get((w, s)), 2) for s in servers)]
                                    for w in workloads])]


def _of_kind(document, *kinds):
    return [row for row in document["summary"]
            if row["server"] != TWIN and Workload.parse(row["workload"]).kind in kinds]


def _streams(document):
    rows = _of_kind(document, "sink", "source")
    if not rows:
        return []
    lines = [[f"`{row['workload']}`", row["server"],
              f"{Workload.parse(row['workload']).size / row['cpu_median_us'] / 1000:.2f}",
              _ratio(row["to_floor"]), _ratio(row["to_peer"])] for row in rows]
    return ["## One-way streams\n",
            "`sink` receives, `source` sends. GB for each second of server CPU; the ratios are "
            "those of CPU per byte.\n",
            _table(["", "server", "GB per CPU second", "÷ floor", "÷ peer"], lines)]


def _connects(document):
    rows = _of_kind(document, "connect")
    if not rows:
        return []
    lines = [[row["server"], _number(row["cpu_median_us"]), f"{row['messages_per_second']:.0f}",
              _ratio(row["to_floor"]), _ratio(row["to_peer"])] for row in rows]
    return ["## Connect, one request, close\n",
            _table(["server", "CPU µs each", "per second", "÷ floor", "÷ peer"], lines)]


def _broadcasts(document):
    rows = _of_kind(document, "broadcast")
    if not rows:
        return []
    lines = [[f"`{row['workload']}`", row["server"], _number(row["cpu_median_us"]),
              _ratio(row["to_floor"]), _ratio(row["to_peer"])] for row in rows]
    return ["## One message to many connections\n",
            "1 KiB from one connection to all; CPU of the server for each copy.\n",
            _table(["", "server", "CPU µs per copy", "÷ floor", "÷ peer"], lines)]


def _latency(document):
    lines = [[f"`{row['workload']}`", f"{row['load']:.0%}", f"{row['rate']:,.0f}", row["server"],
              _number(row["p50_us"]), _number(row["p99_us"]),
              "–" if row["p99_low"] is None else f"{row['p99_low']:.0f} to {row['p99_high']:.0f}",
              ratio_text(row["reference_to_it"]), mean_text(row["reference_to_it"])]
             for row in document["latency"]]
    capacities = ", ".join(f"{one['server']} {one['per_second']:,.0f} (`{one['workload']}`)"
                           for one in document["capacities"])
    return ["## Latency at equal load\n",
            "Open loop: so many messages per second are due of every server, whatever it does, and "
            "a message's wait counts from when it was due. The load is a share of the slowest "
            "server's capacity, measured closed-loop in the same run. Median p99 of "
            f"{document['latency'][0]['rounds']} rounds with its 95 % interval; "
            f"{document['reference']} ÷ it is paired by round.\n",
            _table(["", "load", "due/s", "server", "p50 µs", "p99 µs", "interval",
                    f"p99 of {document['reference']} ÷ its", "mean"], lines),
            f"Closed-loop messages per second: {capacities}.\n"]


def _user(document):
    lines = [[f"`{row['workload']}`", row["server"], f"{row['cpu_seconds']:.0f}",
              plus_minus(row["cpu_us"], row["cpu_half_width"], 3),
              f"{row['user_share']:.2%} ({row['share_low']:.2%} to {row['share_high']:.2%})",
              plus_minus(1000 * row["user_us"], 1000 * (row["user_half_width"] or 0), 1)]
             for row in document["user"]]
    return ["## CPU in user space\n",
            "Sampled 4000 times per CPU second by a perf event on the server's own task clock: "
            "the kernel's own figure is a guess from 250 ticks. CPU per message is from windows "
            "beside, without the sampling. Intervals: Wilson's for the share, "
            "Student's t over the windows for the others.\n",
            _table(["", "server", "CPU seconds", "CPU µs per message", "user share",
                    "user ns per message"], lines)]


def _memory(document):
    if not document["memory"]:
        return []
    rows = {(row["workload"], row["server"]): row for row in document["memory"]}
    workloads, servers, _ = _columns(document["memory"])
    text = lambda row: (f"{row['user_bytes']:.0f} / {row['slab_bytes']:.0f}"  # noqa: E731
                        if row else "–")
    return ["## Memory per idle connection\n",
            "Bytes: anonymous memory of the server / kernel slab of both ends (of the whole "
            "machine, so what others do shows in it). `touched`: after one 4 KiB message on each, "
            "3 s later.\n",
            _table(["", *servers], [[f"`{w}`", *(text(rows.get((w, s))) for s in servers)]
                                    for w in workloads])]


def _engines(document):
    workloads, servers, at = _columns(_echo_rows(document))
    calls = {(c["workload"], c["server"]): c["per_message"] for c in document["system_calls"]}
    lines = []
    for workload in workloads:
        uring, epoll = (at[workload, server] for server in servers[:2])
        ratio = epoll["to_reference"]
        pair = lambda key, form: f"{form(uring[key])} / {form(epoll[key])}"  # noqa: E731
        lines.append([f"`{workload}`", pair("cpu_median_us", _number), _ratio(ratio),
                      " / ".join(_number(calls.get((workload, s)), 2) for s in servers[:2])])
    return ["## The two engines of gyre\n", _noise(document),
            "io_uring / epoll in each cell.\n",
            _table(["", "CPU µs per message", "epoll ÷ io_uring", "system calls per message"],
                   lines),
            _epoll_wins(document, [at[workload, servers[1]] for workload in workloads])]


def _epoll_wins(document, rows):
    """Where gyre on epoll needs less CPU than on io_uring, as far as that is more than noise."""
    noise = {one["workload"]: one["noise"] or 0 for one in document["verdicts"]}
    wins = [f"`{row['workload']}` (CPU × {_ratio(row['to_reference'])})" for row in rows
            if verdict(row["to_reference"], 1, noise[row["workload"]]) == "shown"]
    return f"Where gyre's epoll engine wins: {', '.join(wins) or 'nowhere beyond the interval'}.\n"


def _loops(document):
    lines = [[f"`{row['workload']}`", row["server"], _number(row["cpu_median_us"]),
              f"{row['messages_per_second']:.0f}", _ratio(row["to_reference"])]
             for row in _echo_rows(document)]
    return ["## Two I/O loops against one\n",
            "The server is not pinned here and shares both CPUs with the load, so this shows what "
            "a second loop costs, not what it gains with CPUs to spare.\n",
            _table(["", "server", "CPU µs per message", "messages/s", "CPU ÷ one loop"], lines)]


def _micro(document):
    at = {(one["what"], one["library"]): one["nanoseconds"] for one in document["results"]}
    libraries = list(dict.fromkeys(one["library"] for one in document["results"]))
    lines = [[what, *(_number(at.get((what, library))) for library in libraries),
              f"{1e9 / at[what, 'gyre']:,.0f}" if (what, "gyre") in at else "–"]
             for what in dict.fromkeys(what for what, _ in at) if ", of 1" not in what]
    return ["## Inside the loop\n",
            "Nanoseconds each, the best of a few runs of the programs of `bench/micro`; the last "
            "column is how many gyre does per second. Of the others, libevent has no functors from "
            "other threads without a lock on every call; gyre puts no timer off, its users cancel "
            "and add.\n",
            _table(["", *libraries, "gyre, per second"], lines), *_wheel(at)]


def _wheel(at):
    """Does an operation of the timing wheel cost the same however many entries there are?"""
    costs = {}
    for (what, library), nanos in at.items():
        name, found, size = what.partition(", of ")
        if found and size.isdigit() and library == "gyre":
            costs.setdefault(name, {})[int(size)] = nanos
    if not costs:
        return []
    sizes = sorted(next(iter(costs.values())))
    lines = [[name, *(_number(own[size]) for size in sizes),
              f"{own[sizes[-1]] / own[sizes[0]]:.2f}"] for name, own in costs.items()]
    return ["The timing wheel by the number of its entries, in nanoseconds each. In order, memory "
            "is read in a row and what remains is the work; at random, an entry of a large wheel "
            "also has to come from memory. (A heap's work grows by log 1 000 000 ÷ log 10 000 = "
            "1.5. None of the others has a wheel.)\n",
            _table(["", *(f"{size:,}" for size in sizes), "last ÷ first"], lines)]
