"""Odd surroundings: outputs that take nothing, no environment, nowhere to write."""

import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import tempfile

import children
from children import Server


def broken_pipe():
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "wb")


class OutputTest(children.ProgramTest):
    PRINTING = (["doctor"], ["doctor", "--json"], ["--help"], ["--version"])

    def test_a_full_output_is_a_failure_that_says_so(self):
        for args in self.PRINTING:
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                self.assertFails(children.run(*args, stdout=full), 1, "standard output",
                                 "No space left")

    def test_an_output_that_nobody_reads_is_a_failure_that_says_so(self):
        for args in self.PRINTING:
            with self.subTest(args=args), broken_pipe() as pipe:
                self.assertFails(children.run(*args, stdout=pipe), 1, "standard output",
                                 "Broken pipe")

    def test_a_closed_output_is_a_failure_that_says_so(self):
        for args in self.PRINTING:
            with self.subTest(args=args):
                outcome = children.run(*args, stdout=None, preexec_fn=lambda: os.close(1))
                self.assertFails(outcome, 1, "standard output", "Bad file descriptor")

    def assertServesUnheard(self, **surroundings):
        with children.public_folder() as folder:
            path = folder / "echo.sock"
            with Server("--threads", "1", listen=f"unix:{path}", awaits=False,
                        env={"GYRE_LOG": "trace"}, **surroundings) as server:
                children.await_that(lambda: path.exists() or not server.is_running(), "the path")
                server.address = f"unix:{path}"
                # Exactly the echo: nothing that was printed or logged has come to the client.
                self.assertServes(server, clients=3)
                self.assertEqual(server.end_by().status, 0)

    def test_the_server_serves_when_its_outputs_are_closed(self):
        self.assertServesUnheard(stdout=None, stderr=None,
                                 preexec_fn=lambda: os.closerange(0, 3))

    def test_the_server_serves_when_its_outputs_are_full(self):
        with open("/dev/full", "wb") as full:
            self.assertServesUnheard(stdout=full, stderr=full)

    def test_the_server_serves_when_nobody_reads_its_outputs(self):
        with broken_pipe() as pipe:
            self.assertServesUnheard(stdout=pipe, stderr=pipe)


    def test_the_server_serves_and_ends_when_its_outputs_block(self):
        with children.full_pipe() as pipe:
            self.assertServesUnheard(stdout=pipe, stderr=pipe)

    def test_a_greeting_that_blocks_arrives_when_somebody_reads(self):
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as output, children.public_folder() as folder:
            size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
            os.write(writer, bytes(size))
            path = folder / "echo.sock"
            with Server("--threads", "0", listen=f"unix:{path}", awaits=False,
                        stdout=writer) as server:
                os.close(writer)
                children.await_that(path.exists, "the path")
                self.assertEqual(output.read(size), bytes(size))
                self.assertEqual(output.readline().decode(), f"listening on unix:{path}\n")
                self.assertEqual(server.end_by().status, 0)

    def test_sigterm_ends_a_program_whose_complaint_nobody_reads(self):
        with socket.create_server(("127.0.0.1", 0)) as taken, children.full_pipe() as pipe:
            host, port = taken.getsockname()
            with Server("--threads", "0", listen=f"{host}:{port}", awaits=False, stdout=pipe,
                        stderr=pipe) as server:
                self.assertEqual(await_end_by_sigterm(server), -signal.SIGTERM)

    def test_sigterm_ends_a_load_whose_report_nobody_reads(self):
        with Server("--threads", "0") as target, children.full_pipe() as pipe:
            command = [children.PROGRAM, "bench", target.address, "--connections", "1",
                       "--duration", "0.1", "--warmup", "0"]
            with children.Child(command, stdout=pipe, stderr=pipe) as load:
                self.assertEqual(await_end_by_sigterm(load), -signal.SIGTERM)


def await_end_by_sigterm(child):
    """The status of one that is blocked in a write, and takes the signals before that to end."""
    def has_ended():
        child.process.send_signal(signal.SIGTERM)
        return not child.is_running()

    def is_blocked():
        call = pathlib.Path(f"/proc/{child.process.pid}/syscall").read_text().split()[0]
        return call in ("1", "64")  # write, on x86-64 and on arm64

    children.await_that(is_blocked, "a write that blocks")
    children.await_that(has_ended, "the end by SIGTERM")
    return child.process.wait()


class EnvironmentTest(children.ProgramTest):
    ODD = ({}, {"LANG": "xx_YY.nonsense", "LC_ALL": "xx_YY.nonsense", "HOME": "/nonexistent"},
           {"TERM": "", "COLUMNS": "1", "PATH": ""})

    def test_no_home_an_unknown_locale_or_no_environment_at_all_do_not_matter(self):
        for env in self.ODD:
            with self.subTest(env=env):
                with Server("--threads", "1", env=env) as server:
                    self.assertServes(server)
                    self.assertStops(server)
                self.assertEqual(children.run("doctor", "--json", env=env).err, "")

    def test_a_folder_that_cannot_be_written_to_does_not_matter(self):
        with children.public_program() as program:
            folder = pathlib.Path(program).parent
            folder.chmod(0o555)
            with Server("--threads", "1", program=program, cwd=folder,
                        preexec_fn=children.become_nobody) as server:
                self.assertServes(server)
                self.assertStops(server)
            self.assertEqual(sorted(folder.iterdir()), [pathlib.Path(program)])
            folder.chmod(0o777)

    def test_a_folder_that_is_gone_does_not_matter(self):
        self.requireUring()
        with tempfile.TemporaryDirectory() as name:
            command = f"cd {name} && rmdir {name} && exec {children.PROGRAM} doctor"
            done = subprocess.run(["sh", "-c", command], capture_output=True, check=False,
                                  timeout=children.PATIENCE)
            pathlib.Path(name).mkdir()
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"engine uring: usable", done.stdout)

    def test_a_log_level_that_is_none_is_said_and_does_not_matter(self):
        with Server("--threads", "0", env={"GYRE_LOG": "nonsense"}) as server:
            self.assertServes(server)
            outcome = self.assertStops(server)
        self.assertEqual(sum("GYRE_LOG=nonsense" in line for line in outcome.log), 1, outcome)


if __name__ == "__main__":
    children.main()
