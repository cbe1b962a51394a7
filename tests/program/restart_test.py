"""Which program SIGUSR2 starts, where, and with what in its environment."""

import os
import pathlib
import shutil
import signal

import children
import restart
from restart import environment_of, program_of


class RestartedProgramTest(restart.RestartTest):
    def setUp(self):
        super().setUp()
        context = children.public_folder()
        self.folder = pathlib.Path(context.__enter__()).resolve()
        self.addCleanup(context.__exit__, None, None, None)

    def install(self, name):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        shutil.copy(children.PROGRAM, path)
        return path

    def start_at(self, program, **surroundings):
        return self.start("--threads", "0", "--drain", "20", program=str(program), **surroundings)

    def assertSuccessorRuns(self, server, program):
        pid = self.restart(server)
        self.assertEqual(program_of(pid), str(program))
        self.assertServes(server)

    def test_a_link_that_points_to_the_next_release_now(self):
        for link, release in (("current", "2/gyre"), ("program", "2/gyre")):
            with self.subTest(link=link):
                self.install("1/gyre")
                new = self.install(release)
                path = self.folder / link
                whole = link == "current"
                path.symlink_to("1" if whole else "1/gyre")
                server = self.start_at(path / "gyre" if whole else path)
                self.assertEqual(program_of(server.process.pid), str(self.folder / "1/gyre"))
                (self.folder / "next").symlink_to("2" if whole else "2/gyre")
                (self.folder / "next").rename(path)
                self.assertSuccessorRuns(server, new)
                self.end_marked()

    def test_a_program_that_was_renamed_and_replaced(self):
        program = self.install("gyre")
        server = self.start_at(program)
        program.rename(self.folder / "gyre.old")
        self.assertSuccessorRuns(server, self.install("gyre"))

    def test_a_program_that_was_deleted_and_installed_anew(self):
        program = self.install("gyre")
        server = self.start_at(program)
        program.unlink()
        self.assertSuccessorRuns(server, self.install("gyre"))

    def test_a_path_relative_to_a_folder_that_a_link_led_to(self):
        """The shell names the folder by the link ($PWD); the kernel by what it led to."""
        self.install("1/gyre")
        new = self.install("2/gyre")
        link = self.folder / "current"
        link.symlink_to("1")
        server = self.start_at("./gyre", cwd=link, env={**os.environ, "PWD": str(link)})
        link.unlink()
        link.symlink_to("2")
        self.assertSuccessorRuns(server, new)

    def test_a_program_found_in_the_path_whatever_it_was_told_to_be(self):
        program = self.install("gyre")
        wrapper = ["bash", "-c", f'PATH={self.folder} exec -a "-other" gyre "${{@:2}}"', "bash"]
        server = self.start("--threads", "0", "--drain", "20", prefix=wrapper)
        program.rename(self.folder / "gyre.old")
        self.assertSuccessorRuns(server, self.install("gyre"))

    def test_without_a_program_that_starts_the_old_one_goes_on_and_says_why(self):
        program = self.install("gyre")
        server = self.start_at(program)
        program.rename(self.folder / "gyre.old")
        for spoil, cause in ((lambda: None, "No such file"),
                             (lambda: program.write_text(""), "Permission denied"),
                             (lambda: program.chmod(0o755), "Exec format error")):
            spoil()
            server.process.send_signal(signal.SIGUSR2)
            self.assertGoesOn(server, f"cannot start {program}: {cause}")
        program.unlink()
        program.symlink_to("/bin/false")
        server.process.send_signal(signal.SIGUSR2)
        self.assertGoesOn(server, "has ended before it served")
        program.unlink()
        self.assertSuccessorRuns(server, self.install("gyre"))

    def test_a_successor_is_replaced_in_turn(self):
        program = self.install("gyre")
        server = self.start_at(program)
        first = self.restart(server)
        program.rename(self.folder / "gyre.1")
        self.install("gyre")
        os.kill(first, signal.SIGUSR2)
        second = self.successor_of(first)
        children.await_that(lambda: self.marked() == {second}, "the end of the first successor")
        self.assertEqual(program_of(second), str(program))
        self.assertServes(server)


class HostileVariableTest(restart.RestartTest):
    def test_a_stale_variable_touches_no_descriptor_and_is_said(self):
        for value in ("1", "2", "0", "-1", "1:1", "x", ""):
            with self.subTest(value=value):
                server = self.start("--threads", "0", env={**os.environ,
                                                           "GYRE_SUCCESSION_FD": value})
                self.assertServes(server)
                outcome = self.assertStops(server)
                self.assertIn("listening on", outcome.out)
                self.assertNotIn("\x01", outcome.out)
                self.assertEqual(sum("was not meant for this process" in line
                                     for line in outcome.log), 1, outcome)

    def test_what_says_less_than_all_sockets_of_the_old_process_is_not_believed(self):
        server = self.start("--threads", "0", env={**os.environ, "GYRE_LISTENERS": "a\nb\n\nc"})
        self.assertServes(server)
        self.assertStops(server)

    def test_the_successor_has_what_it_was_passed_once_and_nothing_stale(self):
        stale = {"LISTEN_FDS": "5", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b:c:d:e",
                 "GYRE_SUCCESSION_FD": "7:7", "LISTENER": "kept"}
        server = self.start("--threads", "0", "--drain", "20", env={**os.environ, **stale})
        pid = self.restart(server)
        variables = environment_of(pid)
        self.assertEqual(variables["LISTEN_FDS"], "1")
        self.assertEqual(variables["LISTEN_PID"], str(pid))
        self.assertEqual(variables["LISTEN_FDNAMES"], "unknown")
        self.assertEqual(variables["LISTENER"], "kept")
        self.assertServes(server)


if __name__ == "__main__":
    children.main()
