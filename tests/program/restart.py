"""Hot restarts: starting a server that SIGUSR2 replaces, finding and ending what replaces it."""

import contextlib
import os
import pathlib
import signal
import time

import children
from children import Server


class RestartTest(children.ProgramTest):
    """The servers of a test have a mark in their environment, by which successors are found."""

    def setUp(self):
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.addCleanup(self.end_marked)

    def start(self, *args, env=None, **surroundings):
        environment = {**(os.environ if env is None else env), "GYRE_TEST_MARK": self.mark}
        server = Server(*args, env=environment, **surroundings)
        self.addCleanup(server.close)
        return server

    def marked(self):
        """The pids with the mark of this test that run a program already."""
        found = set()
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
                if f"GYRE_TEST_MARK={self.mark}".encode() in environment:
                    found.add(int(entry.name))
        return found

    def successor_of(self, *pids):
        """The one other process, once it runs its program: that has LISTEN_PID of its own."""
        def successors():
            found = set()
            for pid in self.marked() - set(pids):
                with contextlib.suppress(OSError):
                    if environment_of(pid).get("LISTEN_PID") == str(pid):
                        found.add(pid)
            return found

        children.await_that(successors, "a successor")
        (pid,) = successors()
        return pid

    def restart(self, server):
        """SIGUSR2 to the server; the pid of its successor, once the server has drained."""
        server.process.send_signal(signal.SIGUSR2)
        self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)
        return self.successor_of(server.process.pid)

    def end_marked(self):
        for pid in self.marked():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        children.await_that(lambda: not self.marked(), "the end of the successors")

    def assertGoesOn(self, server, *words):
        """Each SIGUSR2 fails: it says why there is no successor, and serves. Of failures within a
        second it logs the first, so that it is asked again until it says so."""
        asked = 0

        def is_told():
            nonlocal asked
            if time.monotonic() - asked > 0.5:
                server.process.send_signal(signal.SIGUSR2)
                asked = time.monotonic()
            server._err.seek(0)
            text = server._err.read().decode()
            return all(word in text for word in (*words, "this process goes on"))

        children.await_that(is_told, f"word of the failure: {words}")
        self.assertServes(server)
        children.await_that(lambda: self.marked() == {server.process.pid}, "one process is left")


def environment_of(pid):
    """What the process was started with."""
    pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def program_of(pid):
    return os.readlink(f"/proc/{pid}/exe")
