"""What the samples say: medians, minima and paired ratios, as a table and as JSON."""

from statistics import median

from harness.machine import DISTURBED


def quiet(samples):
    """The undisturbed samples, if there are enough of them to be told from luck."""
    calm = [sample for sample in samples if sample.foreign < DISTURBED]
    return calm if 2 * len(calm) >= len(samples) or len(calm) >= 3 else samples


def summarize(samples, floor_names):
    """One row per workload and server, in the order of first appearance."""
    rows = []
    for workload in dict.fromkeys(sample.workload for sample in samples):
        group = [sample for sample in samples if sample.workload == workload]
        servers = dict.fromkeys(sample.server for sample in group)
        by_server = {name: [s for s in group if s.server == name] for name in servers}
        best = best_floor(by_server, floor_names)
        for name, own in by_server.items():
            rows.append(_row(workload, name, own, by_server.get(best)))
    return rows


def best_floor(by_server, floor_names):
    """The floor program with the lowest median, or None."""
    candidates = [name for name in floor_names if name in by_server]
    return min(candidates, key=lambda name: median_cpu(by_server[name]), default=None)


def median_cpu(samples):
    return median(sample.server_cpu for sample in quiet(samples))


def _row(workload, name, own, floor):
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
        "ratio_to_floor": _paired_ratio(own, floor) if floor else None,
    }


def _paired_ratio(own, floor):
    """The median over rounds of own ÷ floor: what slows a whole round cancels out."""
    floor_by_round = {sample.round: sample for sample in floor}
    pairs = [(s, floor_by_round[s.round]) for s in own if s.round in floor_by_round]
    calm = [pair for pair in pairs if max(s.foreign for s in pair) < DISTURBED]
    chosen = calm if 2 * len(calm) >= len(pairs) or len(calm) >= 3 else pairs
    return median(a.server_cpu / b.server_cpu for a, b in chosen) if chosen else None


COLUMNS = (
    ("workload", "workload", "{}"),
    ("server", "server", "{}"),
    ("cpu µs", "cpu_median_us", "{:.3f}"),
    ("min", "cpu_min_us", "{:.3f}"),
    ("÷ floor", "ratio_to_floor", "{:.3f}"),
    ("user", "user_median_us", "{:.2f}"),
    ("system", "system_median_us", "{:.2f}"),
    ("load µs", "load_cpu_median_us", "{:.3f}"),
    ("msg/s", "messages_per_second", "{:.0f}"),
    ("p50 µs", "p50_us", "{:.0f}"),
    ("p99 µs", "p99_us", "{:.0f}"),
    ("disturbed", "disturbed", "{}"),
)


def format_table(rows):
    cells = [[title for title, _, _ in COLUMNS]]
    for row in rows:
        cells.append(
            ["-" if row[key] is None else form.format(row[key]) for _, key, form in COLUMNS]
        )
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
