"""What the samples say: medians, minima and paired ratios, as rows and as a table."""

import math
from statistics import mean, median, stdev

from harness.machine import DISTURBED

# Student's t by degrees of freedom: two-sided 95 %, and one-sided 95 %.
T_INTERVAL = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14)
T_UPPER = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77, 1.76)


def quiet(samples):
    """The undisturbed samples, if there are enough of them to be told from luck."""
    calm = [sample for sample in samples if sample.foreign < DISTURBED]
    return calm if 2 * len(calm) >= len(samples) or len(calm) >= 3 else samples


def summarize(samples, floor_names, reference="gyre"):
    """One row per workload and server, in the order of first appearance."""
    rows = []
    for workload in dict.fromkeys(sample.workload for sample in samples):
        group = [sample for sample in samples if sample.workload == workload]
        servers = dict.fromkeys(sample.server for sample in group)
        by_server = {name: [s for s in group if s.server == name] for name in servers}
        best = best_floor(by_server, floor_names)
        for name, own in by_server.items():
            row = _row(workload, name, own)
            row["to_floor"] = paired_ratio(own, by_server.get(best))
            row["to_reference"] = paired_ratio(own, by_server.get(reference))
            rows.append(row)
    return rows


def summarize_memory(samples):
    rows = []
    for key in dict.fromkeys((sample.workload, sample.server) for sample in samples):
        own = [sample for sample in samples if (sample.workload, sample.server) == key]
        rows.append({
            "workload": key[0],
            "server": key[1],
            "user_bytes": median(sample.user for sample in own),
            "slab_bytes": median(sample.slab for sample in own),
        })
    return rows


def best_floor(by_server, floor_names):
    """The floor program with the lowest median, or None."""
    candidates = [name for name in floor_names if name in by_server]
    return min(candidates, key=lambda name: median_cpu(by_server[name]), default=None)


def median_cpu(samples):
    return median(sample.server_cpu for sample in quiet(samples))


def _row(workload, name, own):
    calm = quiet(own)
    return {
        "workload": workload,
        "server": name,
        "rounds": len(own),
        "disturbed": sum(sample.foreign >= DISTURBED for sample in own),
        "cpu_median_us": median_cpu(own),
        "cpu_min_us": min(s.server_cpu for s in own),
        "user_median_us": median(s.server_user for s in calm),
        "system_median_us": median(s.server_system for s in calm),
        "load_cpu_median_us": median(s.load_cpu for s in calm),
        "messages_per_second": median(s.messages / s.seconds for s in calm),
        "p50_us": median(s.p50 for s in calm),
        "p99_us": median(s.p99 for s in calm),
    }


def paired_ratio(own, base):
    """own ÷ base by rounds: what slows a whole round cancels out. With its 95 % interval, as a
    share of the ratio, and the 95 % upper bound; those are None for a single round."""
    by_round = {sample.round: sample for sample in base or ()}
    pairs = [(s, by_round[s.round]) for s in own if s.round in by_round]
    calm = [pair for pair in pairs if max(s.foreign for s in pair) < DISTURBED]
    chosen = calm if 2 * len(calm) >= len(pairs) or len(calm) >= 3 else pairs
    if not chosen:
        return None
    logs = [math.log(a.server_cpu / b.server_cpu) for a, b in chosen]
    ratio = {"ratio": math.exp(mean(logs)), "half_width": None, "upper": None}
    if len(logs) > 1:
        error = stdev(logs) / math.sqrt(len(logs))
        freedom = min(len(logs) - 1, len(T_UPPER)) - 1
        ratio["half_width"] = math.expm1(T_INTERVAL[freedom] * error)
        ratio["upper"] = ratio["ratio"] * math.exp(T_UPPER[freedom] * error)
    return ratio


def is_precise(samples, name, floor_names, share):
    """True when the interval of the ratio of `name` to the best floor is that narrow."""
    servers = dict.fromkeys(sample.server for sample in samples)
    by_server = {server: [s for s in samples if s.server == server] for server in servers}
    base = by_server.get(best_floor(by_server, floor_names))
    ratio = paired_ratio(by_server.get(name, ()), base)
    return ratio is None or (ratio["half_width"] is not None and ratio["half_width"] <= share)


def _ratio_text(ratio):
    if ratio is None:
        return "-"
    width = ratio["half_width"]
    return f"{ratio['ratio']:.3f}" + ("" if width is None else f" ±{100 * width:.1f} %")


COLUMNS = (
    ("workload", lambda row: row["workload"]),
    ("server", lambda row: row["server"]),
    ("cpu µs", lambda row: f"{row['cpu_median_us']:.3f}"),
    ("min", lambda row: f"{row['cpu_min_us']:.3f}"),
    ("÷ floor", lambda row: _ratio_text(row["to_floor"])),
    ("÷ first", lambda row: _ratio_text(row["to_reference"])),
    ("user", lambda row: f"{row['user_median_us']:.2f}"),
    ("system", lambda row: f"{row['system_median_us']:.2f}"),
    ("load µs", lambda row: f"{row['load_cpu_median_us']:.3f}"),
    ("msg/s", lambda row: f"{row['messages_per_second']:.0f}"),
    ("p50 µs", lambda row: f"{row['p50_us']:.0f}"),
    ("p99 µs", lambda row: f"{row['p99_us']:.0f}"),
    ("disturbed", lambda row: f"{row['disturbed']}/{row['rounds']}"),
)


def format_table(rows):
    cells = [[title for title, _ in COLUMNS]]
    cells += [[text(row) for _, text in COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    lines = []
    for index, line in enumerate(cells):
        if index > 0 and line[0] != cells[index - 1][0]:
            lines.append("")
        padded = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def format_memory(rows):
    return "\n".join(
        f"{row['workload']:<14} {row['server']:<12} user {row['user_bytes']:8.0f} B"
        f"  kernel slab, both ends {row['slab_bytes']:8.0f} B per connection"
        for row in rows
    )
