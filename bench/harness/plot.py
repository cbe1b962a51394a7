"""SVG plots of the rows, drawn by gnuplot."""

import subprocess

from harness.report import TWIN

COLOURS = {"gyre": "#c0392b", "gyre_epoll": "#e67e22", "uring_echo": "#7f8c8d",
           "epoll_echo": "#bdc3c7", "libuv": "#2980b9", "libevent": "#8e44ad",
           "asio_epoll": "#27ae60", "asio_uring": "#16a085"}
CEILING = 2.2  # a bar that is taller leaves the picture; its number is in the table


def draw_ratios(rows, path):
    """A group of bars for each workload: CPU per message, the best hand-written program is 1; the
    first server, when there was no such program. False when gnuplot is not installed."""
    has_floor = any(row["to_floor"] for row in rows)
    key = "to_floor" if has_floor else "to_reference"
    unit = "the best hand-written program" if has_floor else rows[0]["server"] if rows else ""
    rows = [row for row in rows if row[key] and row["server"] != TWIN]
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    servers = list(dict.fromkeys(row["server"] for row in rows))
    ratios = {(row["workload"], row["server"]): row[key]["ratio"] for row in rows}
    lines = []
    for workload in workloads:
        values = [ratios.get((workload, server)) for server in servers]
        cells = ["?" if value is None else f"{min(value, CEILING):.3f}" for value in values]
        lines.append(f"{workload} " + " ".join(cells))
    bars = ", ".join(
        f"$rows using {index}:xtic(1) title '{server.replace('_', ' ')}'"
        f" linecolor rgb '{COLOURS.get(server, '#34495e')}'"
        for index, server in enumerate(servers, 2)
    )
    script = "\n".join((
        "set terminal svg size 960,440 font 'sans-serif,12' background '#ffffff'",
        f"set output '{path}'",
        "$rows << END", *lines, "END",
        "set datafile missing '?'",
        "set style data histograms", "set style histogram clustered gap 1",
        "set style fill solid 1.0 noborder", "set boxwidth 0.9",
        f"set title 'Server CPU per message; 1 = {unit}'",
        f"set yrange [0:{CEILING}]", "set grid ytics", "set key outside right top",
        "set xtics nomirror rotate by -20", "set ytics nomirror",
        f"plot {bars}",
    ))
    try:
        done = subprocess.run(("gnuplot",), input=script, text=True, capture_output=True,
                              check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0
