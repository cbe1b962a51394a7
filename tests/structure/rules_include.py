"""rules_include: who may look at whom."""

import collections
import re

# DESIGN of the house: look at your own floor and down, never up. The simulator is a library of
# its own: it steps loops, and nothing in gyre knows it.
FLOORS = {"base": 0, "proactor": 1, "loop": 2, "sim": 2, "connection": 3, "codec": 4, "client": 4,
          "server": 4, "names": 5, "service": 5, "tls": 5, "co": 5, "http": 6, "ws": 7}
# The rooms of one floor do not look at each other.
ROOMS = ("codec", "client", "server", "names", "service", "tls", "co")
TOP_FLOOR = 8
TOP_FOLDERS = ("apps", "examples", "bench", "tests")
UMBRELLAS = ("gyre.h", "co.h")  # include/gyre/*.h, for those who look down from the top
NEVER_TOUCH = {"tls": {"proactor"}, "http": {"proactor"}, "ws": {"proactor"}}
SIM_FREE = set(FLOORS) - {"sim"}

URING_FOLDER = "src/proactor/uring/"
KERNEL_NAME = re.compile(r"\b(?:__NR|SYS)_io_uring\w*")
KERNEL_FOLDERS = ("src/proactor/uring", "bench/floor")
LANGUAGE_HEADER = "include/gyre/base/Export.h"
PRIVATE_LIBRARIES = ("ares", "spdlog/", "fmt/", "nlohmann/", "CLI/", "gtest/", "gmock/")


def component_of(name):
    """'loop/EventLoop' for both its header and its source."""
    for front in ("include/gyre/", "src/"):
        if name.startswith(front):
            return name.removeprefix(front).rsplit(".", 1)[0]
    return name.rsplit(".", 1)[0]


def floor_name_of(name):
    parts = name.removeprefix("include/gyre/").removeprefix("src/").split("/")
    return parts[0] if name.startswith(("include/gyre/", "src/")) else name.split("/")[0]


def floor_of(name):
    floor = floor_name_of(name)
    return TOP_FLOOR if floor in (*TOP_FOLDERS, *UMBRELLAS) else FLOORS.get(floor)


def check_floors(tree):
    for file in tree.cpp:
        own = floor_of(file.name)
        if own is None:
            yield (f"{file.name}:1: belongs to no floor: the floors are {', '.join(FLOORS)}; a new "
                   "one is entered in tests/structure/rules_include.py")
            continue
        for number, include, is_system in file.includes:
            target = tree.resolve(file, include)
            at = f"{file.name}:{number}"
            if target is None:
                if not is_system:
                    yield (f'{at}: "{include}" is no file of the project: write the path from '
                           "include/ or src/, and <...> for what others wrote")
            else:
                yield from _judge(file.name, own, at, target)


def _judge(name, own, at, target):
    floor, seen = floor_name_of(name), floor_name_of(target)
    other = floor_of(target)
    if other is not None and other > own:
        yield (f"{at}: {floor} (floor {own}) looks up at {seen} (floor {other}): let the news "
               "travel up by callback")
    if floor != seen and floor in ROOMS and seen in ROOMS and other == own:
        yield f"{at}: {floor} and {seen} are rooms of one floor, and do not know each other"
    if seen in NEVER_TOUCH.get(floor, ()):
        yield f"{at}: {floor} never touches {seen}: go through the connection or the loop"
    if seen == "sim" and floor in SIM_FREE:
        yield f"{at}: {floor} is in the library, which does not know the simulator"
    if target.startswith(URING_FOLDER) and not _may_see_uring(name):
        yield (f"{at}: the ring's workshop is open to src/proactor/*.cc and to tests only: use "
               "the Proactor contract")


def _may_see_uring(name):
    is_factory = name.startswith("src/proactor/") and name.count("/") == 2 and name.endswith(".cc")
    return is_factory or name.startswith((URING_FOLDER, "tests/"))


def check_public_includes(tree):
    for file in tree.cpp:
        if not file.is_in("include"):
            continue
        for number, include, is_system in file.includes:
            at = f"{file.name}:{number}"
            if is_system and include.startswith("gyre/"):
                yield f'{at}: <{include}>: inside the project write "{include}"'
            elif is_system and include.startswith(PRIVATE_LIBRARIES):
                yield f"{at}: <{include}>: a consumer may not have it: keep it in src/"
            elif not is_system and not include.startswith("gyre/"):
                yield (f'{at}: "{include}": a public header includes "gyre/..." and system '
                       "headers only")
            elif not is_system and f"include/{include}" not in tree.names:
                yield f'{at}: "{include}" is no public header'


def check_language(tree):
    """Every public header leads to the one that asks for C++20 in a sentence."""
    seen = {LANGUAGE_HEADER: True}

    def leads(name):
        if name not in seen:
            seen[name] = False  # while it is looked at: a cycle leads nowhere
            file = next(file for file in tree.cpp if file.name == name)
            targets = [tree.resolve(file, include) for _, include, _ in file.includes]
            seen[name] = any(leads(target) for target in targets if target)
        return seen[name]

    for file in tree.cpp:
        if file.is_in("include") and not leads(file.name):
            yield (f'{file.name}:1: includes "gyre/base/Export.h" nowhere: a compiler without '
                   "C++20 would fail without saying why")


def check_banned_includes(tree):
    for file in tree.cpp:
        for number, include, _ in file.includes:
            at = f"{file.name}:{number}"
            if include.split("/")[0] in ("liburing.h", "liburing"):
                yield f"{at}: <{include}>: we speak to the kernel through our own Ring"
            if include in ("iostream", "regex") and file.is_in("include", "src"):
                yield f"{at}: <{include}> is slow to build and to run: only programs and tests"


def check_kernel_names(tree):
    for file in tree.cpp:
        if file.is_in(*KERNEL_FOLDERS):
            continue
        reason = "io_uring is spoken in src/proactor/uring/ (and bench/floor/) only"
        for number, include, _ in file.includes:
            if include.startswith("linux/io_uring"):
                yield f"{file.name}:{number}: <{include}>: {reason}"
        for number, line in enumerate(file.code.splitlines(), 1):
            match = KERNEL_NAME.search(line)
            if match:
                yield f"{file.name}:{number}: {match.group()}: {reason}"


def include_graph(tree):
    """component -> {component it includes: 'file:line' of the include}."""
    graph = collections.defaultdict(dict)
    for file in tree.cpp:
        own = component_of(file.name)
        for number, include, _ in file.includes:
            target = tree.resolve(file, include)
            if target and component_of(target) != own:
                graph[own].setdefault(component_of(target), f"{file.name}:{number}")
    return graph


def shortest_cycle(graph, start):
    """The shortest path of components from `start` back to it, or None."""
    queue = collections.deque([[start]])
    seen = set()
    while queue:
        path = queue.popleft()
        for target in sorted(graph.get(path[-1], ())):
            if target == start:
                return path
            if target not in seen:
                seen.add(target)
                queue.append(path + [target])
    return None


def check_cycles(tree):
    graph = include_graph(tree)
    reported = set()
    for start in sorted(graph):
        cycle = shortest_cycle(graph, start)
        if cycle and frozenset(cycle) not in reported:
            reported.add(frozenset(cycle))
            for here, there in zip(cycle, cycle[1:] + cycle[:1]):
                yield (f"{graph[here][there]}: {here} includes {there}, part of the cycle "
                       f"{' -> '.join(cycle + cycle[:1])}: turn one edge into a callback")
