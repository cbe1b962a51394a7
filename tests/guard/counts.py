"""counts: what a load cost, read from the output of callgrind and of strace."""

import collections
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOORS = ("base", "proactor", "loop", "net")
# The rooms of connections and of those who make them count as one.
NET = ("connection", "codec", "client", "server")
CLASS = re.compile(r"gyre::(\w+)(?:<.*>)?::")
OURS = re.compile(r"/(?:src|include/gyre|tests)/(base|proactor|loop|sim|guard|"
                  + "|".join(NET) + ")/")
TRIGGER = re.compile(r"desc: Trigger: Client Request: (.+) (\d+)$")
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((?:-1, \"(begin|end (.+) (\d+))\")?")
# What the peers call, and how the guard's two threads wait for each other.
GUARDS_CALLS = {"readv", "writev", "futex", "sched_yield"}
# Comes with the time that passes, not with messages: pages that were not in use for half a second.
TIMED_CALLS = {"madvise"}
# A kernel that lacks the newer one is waited in with the older one.
SAME_CALL = {"epoll_pwait2": "epoll_wait", "epoll_pwait": "epoll_wait"}


@functools.cache
def floor_of_class(name):
    """The floor whose header is called like the class; None when there is none."""
    for floor in ("base", "proactor", "loop", *NET, "sim"):
        for folder in (ROOT / "include" / "gyre" / floor, ROOT / "src" / floor):
            if any(folder.rglob(f"{name}.h")):
                return part_of_floor(floor)
    return None


def part_of_floor(floor):
    return "net" if floor in NET else floor


def part_of(file, function):
    """Whose instructions these are: a floor's, `sim`, `guard`, or `library`: libc and libstdc++.

    The class tells best: a function that begins with something inlined bears the name of that
    something's file.
    """
    match = CLASS.match(function)
    floor = floor_of_class(match.group(1)) if match else None
    if floor:
        return floor
    match = OURS.search(file)
    return part_of_floor(match.group(1)) if match else "library"


def read_callgrind(lines):
    """The load, and its instructions per message: {part: {function: count}}."""
    file = function = load = None
    is_inclusive = False
    messages = 1
    parts = collections.defaultdict(collections.Counter)
    for line in map(str.rstrip, lines):
        if match := TRIGGER.match(line):
            load, messages = match.group(1), int(match.group(2))
        elif line.startswith("fl="):
            file = line[3:]
        elif line.startswith("fn="):
            function = line[3:]
        elif line.startswith("calls="):
            is_inclusive = True  # the next line is what the callee cost
        elif function and re.match(r"[-+*\d]", line):
            if not is_inclusive:
                parts[part_of(file, function)][function] += int(line.split()[-1])
            is_inclusive = False
    return load, {part: {name: count / messages for name, count in functions.items()}
                  for part, functions in parts.items()}


def read_strace(lines):
    """System calls per message, without the guard's own: {load: {name: {name: count}}}."""
    loads = {}
    counts = None
    for line in lines:
        match = CALL.match(line)
        if not match:
            continue
        name, mark, load, messages = match.groups()
        if mark == "begin":
            counts = collections.Counter()
        elif mark:
            loads[load] = {call: {call: count / int(messages)} for call, count in counts.items()}
            counts = None
        elif counts is not None and name not in GUARDS_CALLS | TIMED_CALLS:
            counts[SAME_CALL.get(name, name)] += 1
    return loads
