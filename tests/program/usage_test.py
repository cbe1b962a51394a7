"""What is typed wrong, or cannot be had: one line with cause and cure, and the right status."""

import fcntl
import os
import pty
import socket
import struct
import termios

import children
from children import Server

USAGE, SETUP = 2, 1


class UsageTest(children.ProgramTest):
    def assertUsageError(self, args, *words):
        with self.subTest(args=args):
            outcome = children.run(*args)
            self.assertFails(outcome, USAGE, "--help", *words)
            self.assertEqual((outcome.out, outcome.log), ("", []))

    def test_a_command_is_needed_and_the_line_names_them(self):
        self.assertUsageError([], "a command is needed", "echo", "bench", "doctor")

    def test_what_is_unknown_is_named(self):
        for wrong in ("nope", "--nope", "Echo", "two\nlines"):
            self.assertUsageError([wrong], wrong.replace("\n", "?"), "gyre --help")
        for command in ("echo", "bench", "doctor"):
            for wrong in ("nope", "--nope", "-x"):
                self.assertUsageError([command, wrong], wrong)
        self.assertUsageError(["doctor", "--json=3"], "json", "gyre doctor --help")

    def test_an_option_without_its_value_is_named_with_the_help_of_its_command(self):
        for option in ("--listen", "--threads", "--engine"):
            self.assertUsageError(["echo", option], option, "gyre echo --help")

    def test_what_is_no_number_of_threads_is_shown_with_the_range(self):
        for wrong in ("", "-1", str(2**63), str(2**64), "two", "2MB", "100000", "1025", "1.5",
                      "0x2", " 2"):
            self.assertUsageError(["echo", "--threads", wrong], "--threads", f'"{wrong}"',
                                  "0 to 1024")

    def test_what_is_no_engine_is_shown_with_those_there_are(self):
        for wrong in ("", "-1", str(2**63), "nonsense", "2MB", "URING"):
            self.assertUsageError(["echo", "--engine", wrong], "--engine", f'"{wrong}"',
                                  "auto, uring or epoll")

    def test_what_is_no_address_is_shown_with_the_cause_and_examples(self):
        causes = {"": "it is empty", "-1": "the port is missing", "127.0.0.1": "port is missing",
                  "127.0.0.1:": "the port is missing", "127.0.0.1:65536": "0 to 65535",
                  "127.0.0.1:-1": "0 to 65535", f"127.0.0.1:{2**63}": "0 to 65535",
                  "127.0.0.1:80MB": "0 to 65535", "host.example:80MB": "0 to 65535",
                  "1.2.3:80": "names are not resolved", "ho st:80": "names are not resolved",
                  "::1:80": "needs brackets", "[::1]": ":port is missing", "[x]:1": "IPv6",
                  "unix:": "path after unix:", "unix:/" + "x" * 150: "108 bytes"}
        for wrong, cause in causes.items():
            self.assertUsageError(["echo", "--listen", wrong], "--listen", f'"{wrong}"', cause,
                                  "127.0.0.1:80, [::1]:80")

    def test_the_last_of_an_option_is_the_one_that_is_judged(self):
        self.assertUsageError(["echo", "--threads", "1", "--threads", "x"], "--threads", '"x"')

    def test_help_and_version_are_no_errors(self):
        for args, word in ((["--help"], "doctor"), (["echo", "--help"], "--threads"),
                           (["doctor", "--help"], "--json"), (["bench", "--help"], "--rate"),
                           (["--version"], "0.")):
            with self.subTest(args=args):
                outcome = children.run(*args, env={"GYRE_ENGINE": "nonsense"})
                self.assertEqual((outcome.status, outcome.err), (0, ""), outcome)
                self.assertIn(word, outcome.out)

    def test_help_says_what_an_option_given_twice_means(self):
        self.assertIn("the last one counts", children.run("echo", "--help").out)


class HelpTest(children.ProgramTest):
    """Help fits the terminal, whatever its width, and loses no word."""

    def help(self, command, columns):
        outcome = children.run(command, "--help", env={"COLUMNS": str(columns)})
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        return outcome.out

    def test_no_line_is_wider_than_the_terminal(self):
        for command in ("echo", "bench", "doctor"):
            words = self.help(command, 1000).split()
            for columns in (40, 53, 80, 100, 132):
                with self.subTest(command=command, columns=columns):
                    text = self.help(command, columns)
                    self.assertLessEqual(max(map(len, text.splitlines())), columns, text)
                    self.assertEqual(text.split(), words)

    def test_what_goes_on_in_the_next_line_is_below_the_first(self):
        lines = self.help("bench", 80).splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("  --rate"))
        self.assertRegex(lines[at + 1], r"^ {30}\S")

    def test_the_width_is_that_of_the_terminal(self):
        near, far = pty.openpty()
        with open(near, "rb", buffering=0), open(far, "wb", buffering=0):
            fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 61, 0, 0))
            environment = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
            self.assertEqual(children.run("bench", "--help", stdout=far, env=environment).status, 0)
            text = os.read(near, 65536).decode()
        self.assertLessEqual(max(map(len, text.splitlines())), 61, text)
        self.assertGreater(max(map(len, text.splitlines())), 50, text)

    def test_without_a_terminal_it_is_80(self):
        environment = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
        text = children.run("bench", "--help", env=environment).out
        self.assertLessEqual(max(map(len, text.splitlines())), 80, text)

    def test_the_forms_of_a_size_are_shown(self):
        self.assertRegex(self.help("bench", 200), r"--size.*16K.*1m.*KiB")

    def test_names_are_offered(self):
        for command in ("echo", "bench"):
            self.assertIn("HOST:PORT (a name or an address)", self.help(command, 200))


class SetupTest(children.ProgramTest):
    def test_a_port_in_use_is_named_with_the_cure(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = "127.0.0.1:%d" % other.getsockname()[1]
            for threads in ("0", "2"):
                self.assertFails(children.run("echo", "--listen", address, "--threads", threads),
                                 SETUP, address, "another process listens there",
                                 "Address already in use")

    def test_an_address_of_no_interface_is_named_with_the_cure(self):
        self.assertFails(children.run("echo", "--listen", "192.0.2.1:0", "--threads", "1"), SETUP,
                         "192.0.2.1:0", "no interface", "0.0.0.0")

    def test_a_name_that_does_not_exist_is_named_with_the_cure(self):
        for command in (("echo", "--listen"), ("bench",)):
            self.assertFails(children.run(*command, "no..name:80"), SETUP, "no..name:80",
                             "cannot be the name of a host", "give an address")

    def test_a_privileged_port_is_named_with_the_cure(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            port = int(file.read()) - 1
        if port < 1:
            self.skipTest("no port is privileged here")
        with children.public_program() as program:
            outcome = children.run("echo", "--listen", f"127.0.0.1:{port}", "--threads", "1",
                                   program=program, preexec_fn=children.become_nobody)
        self.assertFails(outcome, SETUP, f":{port}", "CAP_NET_BIND_SERVICE", "Permission denied")

    def test_an_engine_in_the_environment_that_is_none_is_named_by_every_command(self):
        for command in ("echo", "doctor"):
            with self.subTest(command=command):
                outcome = children.run(command, env={"GYRE_ENGINE": "nonsense"})
                self.assertFails(outcome, SETUP, "GYRE_ENGINE=nonsense", "auto, uring or epoll")
                self.assertEqual(outcome.out, "")

    def test_the_option_overrules_the_environment(self):
        with Server("--engine", "epoll", "--threads", "0",
                    env={"GYRE_ENGINE": "nonsense"}) as server:
            self.assertEqual(server.engine, "epoll")
            self.assertStops(server)


if __name__ == "__main__":
    children.main()
