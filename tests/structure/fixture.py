"""fixture: a small project in a scratch folder, and what the rules say about it."""

import pathlib
import tempfile
import unittest

import check
from tree import Tree


class RuleTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="gyre-structure-")
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def complaints(self, rule, clang_format="clang-format"):
        return check.run_rule(rule, Tree(self.root), clang_format)

    def assertBites(self, rule, *places):
        """The rule complains exactly at `places`, each 'file:line', in any order."""
        found = [":".join(complaint.split(":")[:2]) for complaint in self.complaints(rule)]
        self.assertEqual(sorted(places), sorted(found), self.complaints(rule))

    def assertQuiet(self, rule):
        self.assertBites(rule)
