"""Each rule about the text bites on a bad sample and is quiet on a good one."""

import shutil
import unittest

from fixture import RuleTest
from functions import find_functions
from tree import SourceFile


def function_of(lines, head="void f()"):
    return head + " {\n" + "  g();\n" * (lines - 2) + "}\n"


class SizesTest(RuleTest):
    def test_limits_are_400_and_500_in_tests_and_99_in_examples(self):
        self.write("src/net/A.cc", "int a;\n" * 400)
        self.write("tests/net/ATest.cc", "int a;\n" * 500)
        self.write("examples/a.cc", "int a;\n" * 99)
        self.assertQuiet("sizes")

    def test_one_line_more_bites(self):
        self.write("src/net/A.cc", "int a;\n" * 401)
        self.write("tests/net/ATest.cc", "int a;\n" * 501)
        self.write("bench/run.py", "a = 1\n" * 401)
        self.write("examples/a.cc", "int a;\n" * 100)
        self.assertBites("sizes", "src/net/A.cc:401", "tests/net/ATest.cc:501",
                         "bench/run.py:401", "examples/a.cc:100")


class ColumnsTest(RuleTest):
    def test_101_columns_bite(self):
        self.write("src/net/A.cc", "//" + "µ" * 98 + "\n//" + "-" * 99 + "\n")
        self.write("dev", "#" * 101 + "\n")
        self.assertBites("columns", "src/net/A.cc:2", "dev:1")


class SpansTest(RuleTest):
    def test_options_and_parameters_in_other_units_bite(self):
        self.write("include/gyre/net/A.h",
                   "struct A {\n  std::chrono::milliseconds timeout{5};\n};\n"
                   "void f(std::chrono::seconds limit);\n")
        self.write("include/gyre/co/A.h", "Sleep sleep(Duration delay);\n")
        self.assertBites("spans", "include/gyre/net/A.h:2", "include/gyre/net/A.h:4",
                         "include/gyre/co/A.h:1")

    def test_results_constants_and_the_clock_s_unit_do_not(self):
        self.write("include/gyre/net/A.h",
                   "constexpr std::chrono::hours kLong{5};\nstd::chrono::milliseconds f();\n"
                   "std::optional<std::chrono::milliseconds> retryAfter;\n"
                   "std::chrono::nanoseconds busy{0};\n")
        self.write("src/net/A.cc", "std::chrono::milliseconds delay = f();\n")
        self.assertQuiet("spans")


class FunctionsTest(RuleTest):
    def names(self, text):
        self.write("src/net/A.cc", text)
        return find_functions(SourceFile(self.root, self.root / "src/net/A.cc").code)

    def test_71_lines_bite_and_70_do_not(self):
        self.write("src/net/A.cc", function_of(70) + "\n" + function_of(71))
        self.assertBites("functions", "src/net/A.cc:72")

    def test_methods_operators_and_templates_are_found(self):
        text = ("namespace gyre {\nclass A : public B<int> {\n public:\n"
                + function_of(71, "  explicit A(int a = 3)\n      : a_(a), b_{2}")
                + function_of(71, "  bool operator==(const A& other) const")
                + function_of(71, "  template <typename T = int>\n  auto get() -> T")
                + "};\n}  // namespace gyre\n"
                + function_of(71, "TEST_F(Fixture, Name_isSentence)"))
        names = [name for name, first, last in self.names(text) if last - first >= 70]
        self.assertEqual(4, len(names), names)
        self.assertIn("Fixture.Name_isSentence", names)

    def test_lambda_kept_in_a_variable_is_a_function(self):
        found = self.names(function_of(71, "const auto kRun = [](int a)") + ";\nint b{2};\n")
        self.assertEqual([(1, 71)], [(first, last) for _, first, last in found])

    def test_types_tables_and_namespaces_are_not(self):
        rows = "  {1, (2)},\n" * 80
        self.write("src/net/A.cc",
                   f"namespace {{\nconstexpr Row kRows[] = {{\n{rows}}};\n}}\n"
                   + "enum class E : int {\n" + "  kA,\n" * 80 + "};\n"
                   + "struct alignas(64) S {\n" + "  int a;\n" * 80 + "};\n"
                   + 'extern "C" {\n' + "int a;\n" * 80 + "}\n")
        self.assertQuiet("functions")

    def test_braces_in_comments_strings_and_macros_do_not_count(self):
        body = "  g('}', \"}\", R\"x(})\")x\");  // }\n  /* } */\n"
        self.write("src/net/A.cc", "#define BEGIN(x) if (x) { \\\n  }{\n"
                   "void f() {\n" + body * 40 + "  int a = 1'000;\n}\n")
        self.assertBites("functions", "src/net/A.cc:3")

    def test_braces_that_never_close_are_not_passed_over(self):
        self.write("src/net/A.cc", function_of(71).rstrip("}\n") + "\n")
        self.assertBites("functions", "src/net/A.cc:1")


class WordsTest(RuleTest):
    def test_promises_for_later_bite(self):
        self.write("src/net/A.cc", "// FIXME\n// TODO(now): x\n// XXX\n")
        self.write("cmake/Gyre.cmake", "# FIXME: later\n")
        self.assertBites("words", "src/net/A.cc:1", "src/net/A.cc:2", "src/net/A.cc:3",
                         "cmake/Gyre.cmake:1")

    def test_dated_todo_and_templates_are_quiet(self):
        self.write("src/net/A.cc", '// TODO(kernel 7): x\nchar name[] = "/tmp/a-XXXXXX";\n')
        self.assertQuiet("words")


class LogLinesTest(RuleTest):
    def test_unlimited_lines_bite_in_the_library_only(self):
        self.write("src/net/A.cc", 'log(LogLevel::Info, "x");\nstd::fprintf(stderr, "x");\n'
                                   "std::cerr << 1;\ngyre::logFormatted(a, b, c);\n")
        self.write("src/base/Log.cc", 'log(LogLevel::Info, "x");\n')
        self.write("apps/gyre/A.cc", 'std::fprintf(stderr, "x");\n')
        self.assertBites("log-lines", *[f"src/net/A.cc:{line}" for line in (1, 2, 3, 4)])

    def test_limited_lines_and_other_names_are_quiet(self):
        self.write("src/net/A.cc", 'logInfo("log(x)");\nreader.log(1);\nsnprintf(a, 1, "");\n')
        self.assertQuiet("log-lines")


class ClocksTest(RuleTest):
    def test_wall_clocks_bite_in_the_library_only(self):
        self.write("src/net/A.cc", "auto t = std::chrono::system_clock::now();\n")
        self.write("include/gyre/net/A.h", "int c = CLOCK_REALTIME;\n")
        self.write("tests/net/ATest.cc", "int c = CLOCK_REALTIME;\n")
        self.assertBites("clocks", "src/net/A.cc:1", "include/gyre/net/A.h:1")


class FoldersTest(RuleTest):
    def test_folders_of_no_subject_bite(self):
        for folder in ("src/net/utils", "tests/helpers", "include/gyre/common", "bench/misc"):
            self.write(f"{folder}/A.h", "")
        self.write("src/net/A.h", "")
        self.assertBites("folders", "src/net/utils:1", "tests/helpers:1",
                         "include/gyre/common:1", "bench/misc:1")


class FirstLinesTest(RuleTest):
    def test_named_sentence_is_quiet(self):
        self.write("src/net/Queue.h", "// Queue: bytes that wait for the kernel.\n#pragma once\n")
        self.write("src/net/Queue.cc", "#include <vector>\n")
        self.write("tests/support/Peer.h", "#pragma once\n")
        self.assertQuiet("first-lines")

    def test_other_first_lines_bite(self):
        bad = {"A": "#pragma once\n", "B": "// A: wrong name.\n", "C": "// C: no full stop\n",
               "D": "", "E": "//E: no space.\n"}
        for name, text in bad.items():
            self.write(f"include/gyre/net/{name}.h", text)
        self.assertBites("first-lines", *[f"include/gyre/net/{name}.h:1" for name in bad])


class FormatTest(RuleTest):
    def setUp(self):
        super().setUp()
        self.write(".clang-format", "BasedOnStyle: Google\n")

    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
    def test_unformatted_file_bites_once(self):
        self.write("src/net/A.cc", "int a;\nint   b;\nint   c;\n")
        self.write("src/net/B.cc", "int a;\n")
        self.assertBites("format", "src/net/A.cc:2")

    def test_missing_clang_format_bites(self):
        self.assertEqual(1, len(self.complaints("format", "GYRE_CLANG_FORMAT-NOTFOUND")))


class TreeTest(RuleTest):
    def test_build_trees_and_foreign_files_are_not_ours(self):
        self.write("build/release/alone/A.cc", "// FIXME\n")
        self.write("third/A.cc", "// FIXME\n")
        self.assertQuiet("words")


if __name__ == "__main__":
    unittest.main()
