"""Where a seccomp filter refuses io_uring, and under the profile that permits it."""

import errno
import json
import os
import pathlib

import children
import seccomp
from children import Server

PROFILE = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "seccomp-gyre.json"
ERRORS = (errno.EPERM, errno.ENOSYS)
CAUSE = "a seccomp filter refuses io_uring"


class FilteredTest(children.ProgramTest):
    def setUp(self):
        if not seccomp.IS_POSSIBLE:
            self.skipTest("the filters are written for x86_64")


class RefusedTest(FilteredTest):
    def for_each_error(self):
        for error in ERRORS:
            with self.subTest(error=errno.errorcode[error]):
                yield seccomp.refusing(seccomp.IO_URING, error)

    def test_whoever_insists_on_io_uring_is_told_who_refuses_it(self):
        for refuse in self.for_each_error():
            outcome = children.run("echo", "--listen", "127.0.0.1:0", "--engine", "uring",
                                   preexec_fn=refuse)
            self.assertFails(outcome, 1, CAUSE, "permit io_uring_setup", "epoll engine")
            self.assertEqual((outcome.out, outcome.log), ("", []))

    def test_doctor_fails_and_names_the_cause_in_the_text(self):
        for refuse in self.for_each_error():
            outcome = children.run("doctor", preexec_fn=refuse)
            self.assertEqual((outcome.status, outcome.err), (1, ""), outcome)
            for words in (f"engine uring: not usable: {CAUSE}", "  cure: permit io_uring_setup",
                          "engine epoll: usable", f"engine auto: epoll: {CAUSE}"):
                self.assertIn(words, outcome.out)

    def test_doctor_fails_and_names_the_cause_in_json(self):
        for refuse in self.for_each_error():
            outcome = children.run("doctor", "--json", preexec_fn=refuse)
            report = json.loads(outcome.out)
            uring, epoll = report["engines"]
            self.assertEqual((outcome.status, outcome.err), (1, ""), outcome)
            self.assertFalse(report["usable"] or uring["usable"])
            self.assertIn(CAUSE, uring["cause"])
            self.assertIn("io_uring_setup", uring["cure"])
            self.assertTrue(epoll["usable"])
            self.assertEqual(report["auto"]["engine"], "epoll")
            self.assertIn(CAUSE, report["auto"]["reason"])

    def test_left_alone_the_server_runs_on_epoll_and_says_why_in_one_line(self):
        for refuse in self.for_each_error():
            with Server("--threads", "2", preexec_fn=refuse) as server:
                self.assertEqual(server.engine, "epoll")
                self.assertServes(server, clients=4)
                outcome = self.assertStops(server)
            self.assertEqual(len(outcome.log), 1, outcome)
            self.assertIn(f"engine epoll, because {CAUSE}", outcome.log[0])

    def test_whoever_asks_for_epoll_gets_it_without_a_word(self):
        refuse = seccomp.refusing(seccomp.IO_URING, errno.EPERM)
        for args, env in ((["--engine", "epoll"], {}), ([], {"GYRE_ENGINE": "epoll"}),
                          (["--engine", "epoll"], {"GYRE_ENGINE": "uring"})):
            with self.subTest(args=args, env=env), \
                    Server("--threads", "1", *args, env={**os.environ, **env},
                           preexec_fn=refuse) as server:
                self.assertEqual(server.engine, "epoll")
                self.assertServes(server)
                self.assertEqual(self.assertStops(server).err, "")

    def test_what_is_refused_later_than_the_set_up_is_named_too(self):
        self.requireUring()
        # io_uring_setup passes, what a ring is good for does not.
        for number in seccomp.IO_URING[1:]:
            with self.subTest(number=number):
                outcome = children.run("echo", "--listen", "127.0.0.1:0", "--engine", "uring",
                                       preexec_fn=seccomp.refusing([number], errno.EPERM))
                self.assertFails(outcome, 1, CAUSE)


class ProfileTest(FilteredTest):
    def setUp(self):
        super().setUp()
        self.requireUring()
        self.permit = seccomp.permitting_profile(PROFILE)

    def test_under_the_profile_the_server_starts_echoes_and_stops_on_each_engine(self):
        for engine in ("uring", "epoll"):
            with self.subTest(engine=engine), \
                    Server("--threads", "2", "--engine", engine, preexec_fn=self.permit) as server:
                self.assertEqual(server.engine, engine)
                self.assertServes(server, clients=4)
                self.assertStops(server)

    def test_under_the_profile_a_unix_path_is_served_and_removed(self):
        with children.public_folder() as folder:
            path = folder / "echo.sock"
            with Server("--threads", "0", listen=f"unix:{path}",
                        preexec_fn=self.permit) as server:
                self.assertServes(server)
                self.assertStops(server)
            self.assertFalse(path.exists())

    def test_under_the_profile_doctor_finds_all_that_it_finds_without(self):
        under = children.run("doctor", "--json", preexec_fn=self.permit)
        self.assertEqual((under.status, under.err), (0, ""), under)
        self.assertEqual(json.loads(under.out), json.loads(children.run("doctor", "--json").out))

    def test_the_profile_refuses_what_a_server_does_not_call(self):
        numbers = seccomp.numbers_by_name()
        with open(PROFILE, encoding="utf-8") as file:
            named = {name for rule in json.load(file)["syscalls"] for name in rule["names"]}
        for name in ("ptrace", "mount", "bpf", "init_module", "reboot", "keyctl", "unshare"):
            self.assertIn(name, numbers)
            self.assertNotIn(name, named)


if __name__ == "__main__":
    children.main()
