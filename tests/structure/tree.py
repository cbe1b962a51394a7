"""tree: the project's own files, and the view of a C++ file that the rules need."""

import functools
import pathlib
import re

CODE_FOLDERS = ("include", "src", "apps", "bench", "examples", "tests")
CPP_SUFFIXES = (".h", ".cc")
SCRIPT_SUFFIXES = (".py", ".sh", ".cmake", ".in", ".json")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
LEXEME = re.compile(
    r"""//[^\n]*                                        # line comment
      | /\*.*?\*/                                       # block comment
      | \b(?:u8|[uUL])?R"(?P<fence>[^()\s\\]*)\(.*?\)(?P=fence)"   # raw string
      | "(?:\\.|[^"\\\n])*"                             # string
      | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'            # character, not a digit separator
    """,
    re.DOTALL | re.VERBOSE)


class SourceFile:
    """One file, its path relative to the root, and its text."""

    def __init__(self, root, path):
        self.name = path.relative_to(root).as_posix()
        self.path = path
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.splitlines()

    @property
    def is_cpp(self):
        return self.path.suffix in CPP_SUFFIXES

    @property
    def is_header(self):
        return self.path.suffix == ".h"

    def is_in(self, *folders):
        return any(self.name.startswith(folder + "/") for folder in folders)

    @functools.cached_property
    def code(self):
        """The text with comments and the insides of literals blanked, line breaks kept."""
        return LEXEME.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), self.text)

    @functools.cached_property
    def includes(self):
        """(line number, path, True for <...>) of every include."""
        found = []
        for number, line in enumerate(self.lines, 1):
            match = INCLUDE.match(line)
            if match:
                found.append((number, match.group(1) or match.group(2), bool(match.group(2))))
        return found


class Tree:
    """All files of the project that somebody wrote."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.files = [SourceFile(self.root, path) for path in sorted(self._paths())]
        self.cpp = [file for file in self.files if file.is_cpp]

    def _paths(self):
        for folder in CODE_FOLDERS + ("cmake",):
            for path in (self.root / folder).rglob("*"):
                is_ours = path.suffix in CPP_SUFFIXES + SCRIPT_SUFFIXES
                if path.is_file() and (is_ours or path.name == "CMakeLists.txt"):
                    yield path
        for name in ("CMakeLists.txt", "dev", ".ci/run"):
            if (self.root / name).is_file():
                yield self.root / name

    def folders(self):
        for folder in CODE_FOLDERS:
            top = self.root / folder
            if top.is_dir():
                yield folder
                for path in sorted(top.rglob("*")):
                    if path.is_dir() and path.name != "__pycache__":
                        yield path.relative_to(self.root).as_posix()

    @functools.cached_property
    def names(self):
        return {file.name for file in self.cpp}

    def resolve(self, file, include):
        """The project file that a quoted include means, or None."""
        beside = pathlib.PurePosixPath(file.name).parent / include
        for candidate in (f"include/{include}", f"src/{include}", f"tests/{include}",
                          f"apps/{include}", beside.as_posix()):
            if candidate in self.names:
                return candidate
        return None
