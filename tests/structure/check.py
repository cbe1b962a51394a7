#!/usr/bin/env python3
"""Checks the sources against the rules of the house: check.py [--root DIR] [rule...]."""

import argparse
import pathlib
import sys

import rules_include
import rules_text
from tree import Tree

RULES = {
    "floors": rules_include.check_floors,
    "cycles": rules_include.check_cycles,
    "public-includes": rules_include.check_public_includes,
    "language": rules_include.check_language,
    "banned-includes": rules_include.check_banned_includes,
    "kernel-names": rules_include.check_kernel_names,
    "sizes": rules_text.check_sizes,
    "columns": rules_text.check_columns,
    "functions": rules_text.check_functions,
    "words": rules_text.check_words,
    "log-lines": rules_text.check_log_lines,
    "clocks": rules_text.check_clocks,
    "spans": rules_text.check_spans,
    "folders": rules_text.check_folders,
    "first-lines": rules_text.check_first_lines,
}


def run_rule(rule, tree, clang_format):
    if rule == "format":
        return list(rules_text.check_format(tree, clang_format))
    return list(RULES[rule](tree))


def main():
    here = pathlib.Path(__file__).resolve()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=here.parents[2], help="the project's root folder")
    parser.add_argument("--clang-format", default="clang-format")
    parser.add_argument("--list", action="store_true", help="print the C++ files and stop")
    parser.add_argument("rules", nargs="*", help="one of: format " + " ".join(RULES))
    args = parser.parse_args()

    tree = Tree(args.root)
    if args.list:
        print("\n".join(file.name for file in tree.cpp))
        return 0
    unknown = set(args.rules) - {"format", *RULES}
    if unknown:
        parser.error(f"no such rule: {' '.join(sorted(unknown))}")
    broken = 0
    for rule in args.rules or ["format", *RULES]:
        for complaint in run_rule(rule, tree, args.clang_format):
            print(f"{complaint} [{rule}]")
            broken += 1
    if broken:
        print(f"{broken} complaint{'s' if broken > 1 else ''}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
