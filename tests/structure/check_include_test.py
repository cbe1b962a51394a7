"""Each rule about includes bites on a bad sample and is quiet on a good one."""

import unittest

from fixture import RuleTest


class FloorsTest(RuleTest):
    def setUp(self):
        super().setUp()
        self.write("include/gyre/base/Buffer.h", "")
        self.write("include/gyre/loop/EventLoop.h", '#include "gyre/base/Buffer.h"\n')

    def test_looking_down_and_sideways_is_quiet(self):
        self.write("src/loop/Wheel.h", "")
        self.write("src/loop/EventLoop.cc", '#include "gyre/loop/EventLoop.h"\n'
                   '#include "loop/Wheel.h"\n#include "Wheel.h"\n#include <vector>\n')
        self.write("tests/support/Peer.h", "")
        self.write("tests/loop/WheelTest.cc", '#include "loop/Wheel.h"\n#include "support/Peer.h"')
        self.assertQuiet("floors")

    def test_looking_up_bites(self):
        self.write("src/base/Buffer.cc", '#include <vector>\n#include "gyre/loop/EventLoop.h"\n')
        self.assertBites("floors", "src/base/Buffer.cc:2")

    def test_looking_up_in_angle_brackets_bites(self):
        self.write("src/base/Buffer.cc", "#include <gyre/loop/EventLoop.h>\n")
        self.assertBites("floors", "src/base/Buffer.cc:1")

    def test_library_including_tests_bites(self):
        self.write("tests/support/Peer.h", "")
        self.write("src/loop/EventLoop.cc", '#include "support/Peer.h"\n')
        self.assertBites("floors", "src/loop/EventLoop.cc:1")

    def test_unknown_floor_bites(self):
        self.write("src/magic/Wand.cc", "")
        self.assertBites("floors", "src/magic/Wand.cc:1")

    def test_umbrella_is_for_the_top_only(self):
        self.write("include/gyre/gyre.h", '#include "gyre/loop/EventLoop.h"\n')
        self.write("examples/echo.cc", "#include <gyre/gyre.h>\n")
        self.assertQuiet("floors")
        self.write("src/loop/EventLoop.cc", '#include "gyre/gyre.h"\n')
        self.assertBites("floors", "src/loop/EventLoop.cc:1")

    def test_include_of_nothing_bites(self):
        self.write("src/loop/EventLoop.cc", '#include "loop/Nowhere.h"\n')
        self.assertBites("floors", "src/loop/EventLoop.cc:1")

    def test_http_touching_proactor_bites(self):
        self.write("include/gyre/proactor/Proactor.h", "")
        self.write("src/server/Acceptor.cc", '#include "gyre/proactor/Proactor.h"\n')
        for floor in ("http", "ws", "tls"):
            self.write(f"src/{floor}/Parser.cc", '#include "gyre/proactor/Proactor.h"\n')
        self.assertBites("floors", "src/http/Parser.cc:1", "src/ws/Parser.cc:1",
                         "src/tls/Parser.cc:1")

    def test_rooms_of_one_floor_do_not_know_each_other(self):
        self.write("include/gyre/client/TcpClient.h", "")
        self.write("src/client/Connector.cc", '#include "gyre/client/TcpClient.h"\n')
        self.write("src/names/Resolver.cc", '#include "gyre/client/TcpClient.h"\n')
        self.write("src/server/Acceptor.cc", '#include "gyre/client/TcpClient.h"\n')
        self.assertBites("floors", "src/server/Acceptor.cc:1")

    def test_library_knowing_the_simulator_bites(self):
        self.write("include/gyre/sim/SimNetwork.h", '#include "gyre/loop/EventLoop.h"\n')
        self.write("src/server/Acceptor.cc", '#include "gyre/sim/SimNetwork.h"\n')
        self.write("tests/sim/SimTest.cc", '#include "gyre/sim/SimNetwork.h"\n')
        self.assertBites("floors", "src/server/Acceptor.cc:1")

    def test_uring_is_open_to_factories_and_tests_only(self):
        ring = '#include "proactor/uring/Ring.h"\n'
        self.write("src/proactor/uring/Ring.h", "")
        for name in ("src/proactor/uring/Ring.cc", "src/proactor/ProactorFactory.cc",
                     "tests/proactor/RingTest.cc"):
            self.write(name, ring)
        self.assertQuiet("floors")
        bad = ["src/proactor/epoll/EpollProactor.cc", "src/proactor/Shared.h",
               "src/loop/EventLoop.cc", "apps/gyre/Doctor.cc"]
        for name in bad:
            self.write(name, ring)
        self.assertBites("floors", *[f"{name}:1" for name in bad])


class CyclesTest(RuleTest):
    def test_header_and_source_of_one_component_are_no_cycle(self):
        self.write("include/gyre/net/Acceptor.h", "")
        self.write("src/server/Acceptor.cc", '#include "gyre/net/Acceptor.h"\n')
        self.assertQuiet("cycles")

    def test_cycle_through_a_source_bites_at_every_edge(self):
        self.write("include/gyre/net/A.h", '#include "gyre/net/B.h"\n')
        self.write("include/gyre/net/B.h", "")
        self.write("src/net/B.cc", '#include "gyre/net/B.h"\n#include "net/C.h"\n')
        self.write("src/net/C.h", "// C: third.\n\n" '#include "gyre/net/A.h"\n')
        self.assertBites("cycles", "include/gyre/net/A.h:1", "src/net/B.cc:2", "src/net/C.h:3")
        self.assertIn("net/A -> net/B -> net/C -> net/A", self.complaints("cycles")[0])

    def test_two_cycles_are_both_reported(self):
        for one, other in (("A", "B"), ("C", "D")):
            self.write(f"src/net/{one}.h", f'#include "net/{other}.h"\n')
            self.write(f"src/net/{other}.h", f'#include "net/{one}.h"\n')
        self.assertBites("cycles", *[f"src/net/{name}.h:1" for name in "ABCD"])


class PublicIncludesTest(RuleTest):
    def test_front_door_and_system_headers_are_quiet(self):
        self.write("include/gyre/base/Buffer.h", "#include <string>\n#include <sys/uio.h>\n")
        self.write("include/gyre/net/TcpServer.h", '#include "gyre/base/Buffer.h"\n')
        self.assertQuiet("public-includes")

    def test_workshop_relative_and_private_library_headers_bite(self):
        self.write("include/gyre/base/Buffer.h", "")
        self.write("src/net/Queue.h", "")
        self.write("include/gyre/net/TcpServer.h",
                   '#include "net/Queue.h"\n#include "gyre/base/Buffer.h"\n'
                   '#include "../base/Buffer.h"\n#include <spdlog/spdlog.h>\n'
                   '#include "gyre/net/Gone.h"\n#include <gyre/base/Buffer.h>\n')
        self.assertBites("public-includes",
                         *[f"include/gyre/net/TcpServer.h:{line}" for line in (1, 3, 4, 5, 6)])


class LanguageTest(RuleTest):
    def test_a_header_that_asks_for_the_language_through_another_is_quiet(self):
        self.write("include/gyre/base/Export.h", "")
        self.write("include/gyre/base/Check.h", '#include "gyre/base/Export.h"\n')
        self.write("include/gyre/base/Buffer.h", '#include <span>\n#include "gyre/base/Check.h"\n')
        self.write("src/net/A.h", "")
        self.assertQuiet("language")

    def test_a_header_that_does_not_bites(self):
        self.write("include/gyre/base/Export.h", "")
        self.write("include/gyre/net/A.h", '#include "gyre/net/B.h"\n')
        self.write("include/gyre/net/B.h", '#include "gyre/net/A.h"\n')
        self.assertBites("language", "include/gyre/net/A.h:1", "include/gyre/net/B.h:1")


class BannedIncludesTest(RuleTest):
    def test_iostream_and_regex_bite_in_the_library_only(self):
        text = "#include <iostream>\n#include <regex>\n"
        for name in ("src/net/A.cc", "include/gyre/net/A.h", "apps/gyre/main.cc"):
            self.write(name, text)
        self.assertBites("banned-includes", "src/net/A.cc:1", "src/net/A.cc:2",
                         "include/gyre/net/A.h:1", "include/gyre/net/A.h:2")

    def test_liburing_bites_everywhere(self):
        self.write("bench/floor/ring.cc", "#include <liburing.h>\n")
        self.write("src/proactor/uring/Ring.cc", '#include "liburing/io_uring.h"\n')
        self.assertBites("banned-includes", "bench/floor/ring.cc:1",
                         "src/proactor/uring/Ring.cc:1")


class KernelNamesTest(RuleTest):
    TEXT = "#include <linux/io_uring.h>\n\nlong setup() { return syscall(__NR_io_uring_setup); }\n"

    def test_the_workshop_and_the_floor_programs_are_quiet(self):
        self.write("src/proactor/uring/Ring.cc", self.TEXT)
        self.write("bench/floor/ring.cc", self.TEXT)
        self.assertQuiet("kernel-names")

    def test_everywhere_else_bites(self):
        self.write("src/proactor/KernelProactor.cc", self.TEXT)
        self.write("tests/proactor/RingTest.cc", "// io_uring\nint x = SYS_io_uring_enter;\n")
        self.assertBites("kernel-names", "src/proactor/KernelProactor.cc:1",
                         "src/proactor/KernelProactor.cc:3", "tests/proactor/RingTest.cc:2")

    def test_comments_and_strings_are_quiet(self):
        self.write("src/net/A.cc", '// __NR_io_uring_setup\nauto a = "SYS_io_uring_enter";\n')
        self.assertQuiet("kernel-names")


if __name__ == "__main__":
    unittest.main()
