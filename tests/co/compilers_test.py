#!/usr/bin/env python3
"""What g++ 12 compiles wrongly is refused by every compiler; what is accepted runs in every build.

    compilers_test.py --include DIR LIBRARY... LINK_FLAG...

The first line of each snippet says what is expected: `// refused: part of the message` or
`// accepted: why`. Accepted ones are linked, and run unoptimized, where no compiler makes tail
calls.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SNIPPETS = pathlib.Path(__file__).resolve().parent / "snippets"
OPTIONS = None


def compilers():
    return [name for name in ("g++", "clang++") if shutil.which(name)]


def compile_snippet(compiler, path, *options):
    command = [compiler, "-std=c++20", "-I", OPTIONS.include, str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


class CompilersTest(unittest.TestCase):
    def test_refused(self):
        for path in sorted(SNIPPETS.glob("refused_*.cc")):
            expected = re.match(r"// refused: (.*)", path.read_text(encoding="utf-8")).group(1)
            for compiler in compilers():
                with self.subTest(snippet=path.name, compiler=compiler):
                    done = compile_snippet(compiler, path, "-fsyntax-only")
                    message = " ".join(done.stderr.replace('"\n', "").split())
                    self.assertNotEqual(done.returncode, 0, "it compiles")
                    self.assertIn(expected, message)

    def test_accepted_runs_unoptimized(self):
        for compiler in compilers():
            with self.subTest(compiler=compiler), tempfile.TemporaryDirectory() as folder:
                program = pathlib.Path(folder) / "accepted"
                done = compile_snippet(compiler, SNIPPETS / "accepted.cc", "-O0", "-o",
                                       str(program), *OPTIONS.link)
                self.assertEqual(done.returncode, 0, done.stderr)
                run = subprocess.run([str(program)], capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertEqual(run.stdout, "2000102\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", required=True)
    parser.add_argument("link", nargs=argparse.REMAINDER)
    OPTIONS = parser.parse_args()
    unittest.main(argv=sys.argv[:1])
