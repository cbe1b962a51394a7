"""What the samples say: medians, paired ratios and verdicts, as rows and as tables."""

from dataclasses import dataclass
from statistics import median

from harness.machine import DISTURBED
from harness.servers import PEERS
from harness.stats import noise_of, ratio_of, verdict

PRECISE = 0.03  # half the 95 % interval of a ratio, as a share
GOAL_FLOOR = 1.03  # CPU of the reference ÷ the better hand-written program's
GOAL_PEER = 1.00  # … ÷ the best peer's
BUSY = 0.9  # of a CPU: less, and a side waits for the other
TWIN = "gyre again"  # the reference, started a second time


@dataclass(frozen=True)
class Roles:
    """Whom the reference is compared with."""

    reference: str
    floors: tuple
    peers: tuple

    @staticmethod
    def of(specs):
        return Roles(specs[0].name, tuple(spec.name for spec in specs if spec.is_floor),
                     tuple(spec.name for spec in specs if spec.name in PEERS))


def quiet(samples):
    """The undisturbed samples, if there are enough of them to be told from luck."""
    calm = [sample for sample in samples if sample.foreign < DISTURBED]
    return calm if 2 * len(calm) >= len(samples) or len(calm) >= 3 else samples


def by_server(samples):
    servers = dict.fromkeys(sample.server for sample in samples)
    return {name: [s for s in samples if s.server == name] for name in servers}


def best_of(groups, names):
    """The one of `names` with the lowest median over all rounds, or None.

    Chosen by the median of everything, once: to take the best of each round would compare with the
    noise's favourite. What bias is left is against the reference.
    """
    return min((name for name in names if name in groups),
               key=lambda name: median_cpu(groups[name]), default=None)


def median_cpu(samples):
    return median(sample.server_cpu for sample in quiet(samples))


def summarize(samples, roles):
    """One row per workload and server, in the order of first appearance."""
    rows = []
    for workload in dict.fromkeys(sample.workload for sample in samples):
        groups = by_server([s for s in samples if s.workload == workload])
        floor, peer = best_of(groups, roles.floors), best_of(groups, roles.peers)
        for name in sorted(groups, key=lambda name: (name != roles.reference)):
            row = _row(workload, name, groups[name])
            for key, base in (("to_floor", floor), ("to_peer", peer),
                              ("to_reference", roles.reference)):
                row[key] = paired_ratio(groups[name], groups.get(base))
                if row[key]:
                    row[key]["base"] = base
            rows.append(row)
    return rows


def _row(workload, name, own):
    calm = quiet(own)
    user, system = sum(s.user_ticks for s in own), sum(s.system_ticks for s in own)
    return {
        "workload": workload,
        "server": name,
        "rounds": len(own),
        "disturbed": sum(sample.foreign >= DISTURBED for sample in own),
        "cpu_median_us": median_cpu(own),
        "cpu_min_us": min(s.server_cpu for s in own),
        "user_share": user / max(user + system, 1),
        "load_cpu_median_us": median(s.load_cpu for s in calm),
        "server_busy": median(s.server_cpu * s.messages / s.seconds / 1e6 for s in calm),
        "load_busy": median(s.load_cpu * s.messages / s.seconds / 1e6 for s in calm),
        "messages_per_second": median(s.messages / s.seconds for s in calm),
    }


def paired_ratio(own, base):
    """own ÷ base by rounds: what slows a whole round cancels out."""
    by_round = {sample.round: sample for sample in base or ()}
    pairs = [(s, by_round[s.round]) for s in own if s.round in by_round]
    calm = [pair for pair in pairs if max(s.foreign for s in pair) < DISTURBED]
    chosen = calm if 2 * len(calm) >= len(pairs) or len(calm) >= 3 else pairs
    return ratio_of([a.server_cpu / b.server_cpu for a, b in chosen])


def is_precise(samples, roles, share):
    """True when the reference's ratios to the best floor and the best peer are known that well; to
    every other server, where neither is there."""
    groups = by_server(samples)
    bases = [best_of(groups, roles.floors), best_of(groups, roles.peers)]
    bases = [base for base in bases if base] or list(groups)
    ratios = [paired_ratio(groups.get(roles.reference, ()), groups[base]) for base in bases
              if base != roles.reference]
    return all(ratio is None or (ratio["half_width"] is not None and ratio["half_width"] <= share)
               for ratio in ratios)


def verdicts(rows, roles):
    """For each workload the reference against its goals, and whether the load was the limit."""
    results = []
    for row in rows:
        if row["server"] != roles.reference:
            continue
        twin = next((r for r in rows if r["workload"] == row["workload"]
                     and r["server"] == TWIN), None)
        noise = noise_of(twin and twin["to_reference"])
        result = {"workload": row["workload"], "noise": noise,
                  "load_ratio": row["load_cpu_median_us"] / row["cpu_median_us"],
                  "load": limit_of(row)}
        for key, goal in (("to_floor", GOAL_FLOOR), ("to_peer", GOAL_PEER)):
            if row[key]:
                result[key] = {**row[key], "goal": goal,
                               "verdict": verdict(row[key], goal, noise or 0)}
        floor = next((r for r in rows if r["workload"] == row["workload"]
                      and row["to_floor"] and r["server"] == row["to_floor"]["base"]), None)
        # A hand-written program that a peer beats by more than 5 % is no floor: repair it first.
        result["floor_to_peer"] = floor and floor["to_peer"]
        results.append(result)
    return results


def limit_of(row):
    """Who is waited for: a server that idles was not measured at its limit."""
    if row["server_busy"] >= BUSY:
        return "ok" if row["load_busy"] >= BUSY else "the load is starved"
    if row["load_busy"] >= BUSY:
        return "the server waits for the load"
    return "both wait"


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


# --- Text

def ratio_text(ratio):
    return _plus_minus(ratio, "ratio", "half_width")


def mean_text(ratio):
    return _plus_minus(ratio, "mean", "mean_half_width")


def _plus_minus(ratio, value, width):
    if ratio is None:
        return "-"
    half = ratio[width]
    return f"{ratio[value]:.3f}" + ("" if half is None else f" ±{100 * half:.1f} %")


COLUMNS = (
    ("workload", lambda row: row["workload"]),
    ("server", lambda row: row["server"]),
    ("cpu µs", lambda row: f"{row['cpu_median_us']:.3f}"),
    ("min", lambda row: f"{row['cpu_min_us']:.3f}"),
    ("÷ floor", lambda row: ratio_text(row["to_floor"])),
    ("÷ peer", lambda row: ratio_text(row["to_peer"])),
    ("÷ first", lambda row: ratio_text(row["to_reference"])),
    ("user", lambda row: f"{row['user_share']:.1%}"),
    ("load µs", lambda row: f"{row['load_cpu_median_us']:.3f}"),
    ("msg/s", lambda row: f"{row['messages_per_second']:.0f}"),
    ("disturbed", lambda row: f"{row['disturbed']}/{row['rounds']}"),
)

VERDICT_COLUMNS = (
    ("workload", lambda one: one["workload"]),
    ("best floor", lambda one: _base(one, "to_floor")),
    ("÷ floor", lambda one: ratio_text(one.get("to_floor"))),
    ("mean", lambda one: mean_text(one.get("to_floor"))),
    ("upper", lambda one: _upper(one, "to_floor")),
    (f"<= {GOAL_FLOOR:.2f}", lambda one: _verdict(one, "to_floor")),
    ("best peer", lambda one: _base(one, "to_peer")),
    ("÷ peer", lambda one: ratio_text(one.get("to_peer"))),
    ("mean", lambda one: mean_text(one.get("to_peer"))),
    ("upper", lambda one: _upper(one, "to_peer")),
    (f"<= {GOAL_PEER:.2f}", lambda one: _verdict(one, "to_peer")),
    ("floor ÷ peer", lambda one: ratio_text(one["floor_to_peer"])),
    ("noise", lambda one: noise_text(one["noise"])),
    ("load ÷ server", lambda one: f"{one['load_ratio']:.2f} {one['load']}"),
    ("rounds", lambda one: str(max(one[key]["rounds"] for key in ("to_floor", "to_peer")
                                   if key in one) if "to_floor" in one or "to_peer" in one
                               else "-")),
)


def noise_text(noise):
    return "-" if noise is None else f"±{100 * noise:.1f} %"


def _base(one, key):
    return one[key]["base"] if key in one else "-"


def _upper(one, key):
    upper = one[key]["upper"] if key in one else None
    return "-" if upper is None else f"{upper:.3f}"


def _verdict(one, key):
    return one[key]["verdict"] if key in one else "-"


def format_table(rows):
    return _align(COLUMNS, rows, 2)


def format_verdicts(results):
    return _align(VERDICT_COLUMNS, results, 2)


def _align(columns, rows, left):
    if not rows:
        return ""
    cells = [[title for title, _ in columns]]
    cells += [[text(row) for _, text in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = []
    for line in cells:
        padded = [cell.ljust(width) if i < left else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(line, widths))]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def format_memory(rows):
    return "\n".join(
        f"{row['workload']:<14} {row['server']:<12} user {row['user_bytes']:8.0f} B"
        f"  kernel slab, both ends {row['slab_bytes']:8.0f} B per connection"
        for row in rows
    )
