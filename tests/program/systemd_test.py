"""gyre echo under systemd: socket activation, notification, watchdog, unit files."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import time

import children
import restart
from children import Server
from restart import environment_of

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"


class Manager:
    """What systemd does with NotifyAccess=main: hears the main process, and follows MAINPID."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(children.PATIENCE)
        self.main = None
        self.heard = []  # (pid, text) of the main process
        self.ignored = []  # of others

    def receive(self):
        text, ancillary, _, _ = self.socket.recvmsg(4096, 4096)
        pid = struct.unpack("3i", ancillary[0][2])[0]
        message = (pid, text.decode())
        if pid not in (self.main, None) and self.main is not None:
            self.ignored.append(message)
            return message
        self.heard.append(message)
        for line in message[1].splitlines():
            if line.startswith("MAINPID="):
                self.main = int(line.removeprefix("MAINPID="))
        return message

    def await_message(self, pid, words):
        deadline = time.monotonic() + children.PATIENCE
        while time.monotonic() < deadline:
            message = self.receive()
            if message[0] == pid and words in message[1]:
                return message
        raise AssertionError(f"never heard of {pid}: {words}; heard {self.heard}")


# WATCHDOG_PID is the pid of the process itself, as systemd sets it.
WATCHED = ["/bin/sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"]


class NotifyTest(restart.RestartTest):
    def setUp(self):
        super().setUp()
        context = children.public_folder()
        path = str(context.__enter__() / "notify")
        self.addCleanup(context.__exit__, None, None, None)
        self.manager = Manager(path)
        self.addCleanup(self.manager.socket.close)
        self.environment = {**os.environ, "NOTIFY_SOCKET": path}

    def start_watched(self, micros, **surroundings):
        environment = {**self.environment, "WATCHDOG_USEC": str(micros)}
        return self.start("--threads", "0", "--drain", "20", env=environment, prefix=WATCHED,
                          **surroundings)

    def test_it_tells_ready_stopping_and_that_it_lives(self):
        server = self.start_watched(100_000)
        ready = self.manager.receive()
        self.assertEqual(ready[0], server.process.pid)
        self.assertIn("READY=1", ready[1])
        self.assertIn(f"MAINPID={server.process.pid}", ready[1])
        for _ in range(3):
            self.assertEqual(self.manager.receive()[1], "WATCHDOG=1")
        server.process.send_signal(signal.SIGTERM)
        self.manager.await_message(server.process.pid, "STOPPING=1")
        self.assertEqual(server.process.wait(timeout=children.PATIENCE), 0)

    def test_the_old_process_names_the_new_one_which_speaks_only_then(self):
        server = self.start("--threads", "0", "--drain", "20", env=self.environment)
        self.manager.await_message(server.process.pid, "READY=1")
        successor = self.restart(server)
        self.manager.await_message(server.process.pid, f"MAINPID={successor}")
        self.manager.await_message(successor, "READY=1")
        self.assertEqual(self.manager.ignored, [])
        self.assertNotIn("STOPPING", str(self.manager.heard))
        os.kill(successor, signal.SIGTERM)
        self.manager.await_message(successor, "STOPPING=1")

    def test_the_watchdog_is_pinged_by_the_new_process_and_no_more_by_the_old(self):
        server = self.start_watched(50_000)
        with server.connect() as peer:  # keeps the old process draining
            self.assertEchoes(peer)
            self.manager.await_message(server.process.pid, "WATCHDOG=1")
            server.process.send_signal(signal.SIGUSR2)
            successor = self.successor_of(server.process.pid)
            for _ in range(10):
                self.manager.await_message(successor, "WATCHDOG=1")
            self.assertTrue(server.is_running())
            self.assertEqual(environment_of(successor)["WATCHDOG_PID"], str(successor))
            self.assertEqual(self.manager.ignored, [])

    def test_a_restart_that_fails_changes_nothing_for_systemd(self):
        with children.public_program() as program:
            server = self.start_watched(50_000, program=program)
            self.manager.await_message(server.process.pid, "READY=1")
            os.unlink(program)
            server.process.send_signal(signal.SIGUSR2)
            self.assertGoesOn(server, "No such file")
            self.manager.await_message(server.process.pid, "WATCHDOG=1")
        self.assertNotIn("MAINPID", str(self.manager.heard[1:]))
        self.assertEqual(self.manager.ignored, [])

    def test_any_period_of_the_watchdog_is_survived(self):
        for micros in (1, 2, 2**63, 2**64 - 2, "-1", "x", ""):
            with self.subTest(micros=micros):
                server = self.start_watched(micros)
                self.assertServes(server)
                self.assertStops(server)

    def test_a_manager_that_does_not_listen_holds_nothing_up(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.sendto(b"FILL=1", self.environment["NOTIFY_SOCKET"])
        server = self.start_watched(1000)
        self.assertServes(server, clients=20)
        self.manager.await_message(server.process.pid, "READY=1")
        self.manager.await_message(server.process.pid, "WATCHDOG=1")

    def test_an_address_that_is_none_or_where_nobody_is_does_not_matter(self):
        for path in ("", "@", "/", "relative", "/nowhere/notify", "/" + "x" * 200, "@nobody"):
            with self.subTest(path=path):
                server = self.start("--threads", "0", env={**os.environ, "NOTIFY_SOCKET": path})
                self.assertServes(server)
                self.assertStops(server)


class InheritingServer(Server):
    """Started with a listening socket as descriptor 3, as systemd does."""

    def __init__(self, listener, *args, **surroundings):
        three = os.dup(listener.fileno())
        wrapper = ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"]
        try:
            super().__init__("--threads", "0", *args, prefix=wrapper, pass_fds=(), close_fds=False,
                             preexec_fn=lambda: os.dup2(three, 3), **surroundings)
        finally:
            os.close(three)


class ActivationTest(restart.RestartTest):
    def activate(self, listener, names, *args):
        environment = {**os.environ, "LISTEN_FDNAMES": names, "GYRE_TEST_MARK": self.mark}
        server = InheritingServer(listener, "--drain", "20", *args, env=environment)
        self.addCleanup(server.close)
        return server

    def test_a_socket_of_any_name_and_address_is_served_instead_of_an_own_one(self):
        for names in ("echo", "echo.socket", "unknown", "something"):
            with self.subTest(names=names), socket.create_server(("127.0.0.1", 0)) as listener:
                server = self.activate(listener, names)
                self.assertEqual(server.address, "127.0.0.1:%d" % listener.getsockname()[1])
                self.assertServes(server)
                self.assertStops(server)

    def test_a_restart_keeps_the_socket_and_its_name(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = self.activate(listener, "some name")
            first = self.restart(server)
            os.kill(first, signal.SIGUSR2)
            second = self.successor_of(first)
            children.await_that(lambda: self.marked() == {second}, "the end of the first successor")
            for pid in (second,):
                variables = environment_of(pid)
                self.assertEqual((variables["LISTEN_FDS"], variables["LISTEN_FDNAMES"]),
                                 ("1", "some name"))
            listener.close()
            self.assertServes(server)

    def test_systemd_socket_activate_starts_it_with_the_first_client(self):
        tool = shutil.which("systemd-socket-activate")
        if tool is None:
            self.skipTest("systemd-socket-activate is not installed (package systemd)")
        with children.public_folder() as folder:
            address = f"unix:{folder}/socket"
            command = [tool, "-l", address.removeprefix("unix:"), "--fdname=web",
                       f"--setenv=GYRE_TEST_MARK={self.mark}", children.PROGRAM, "echo",
                       "--threads", "0", "--listen", "127.0.0.1:0"]
            with children.Child(command, env={**os.environ, "GYRE_TEST_MARK": self.mark}) as child:
                children.await_that((folder / "socket").exists, "the socket")
                with children.connect(address) as peer:
                    self.assertEchoes(peer)
                    child.await_line(f"listening on {address}")
                child.process.send_signal(signal.SIGTERM)
                self.assertEqual(child.process.wait(timeout=children.PATIENCE), 0)


class UnitFilesTest(children.ProgramTest):
    UNITS = ("gyre.service", "gyre.socket")

    def verify(self, change=lambda text: text):
        """What systemd-analyze has to say of the units, with the built program."""
        tool = shutil.which("systemd-analyze")
        if tool is None:
            self.skipTest("systemd-analyze is not installed (package systemd)")
        with children.public_folder() as folder:
            for name in self.UNITS:
                text = (DEPLOY / name).read_text()
                text = text.replace("/usr/local/bin/gyre", str(pathlib.Path(children.PROGRAM)))
                (folder / name).write_text(change(text))
            done = subprocess.run([tool, "verify", "--man=no", *(folder / n for n in self.UNITS)],
                                  capture_output=True, text=True, check=False,
                                  timeout=children.PATIENCE)
        return done.stdout + done.stderr, done.returncode

    def test_systemd_finds_nothing_wrong_with_them(self):
        self.assertEqual(self.verify(), ("", 0))

    def test_a_fault_in_them_would_be_found(self):
        said, _ = self.verify(lambda text: text.replace("WatchdogSec", "WatchdogSeconds"))
        self.assertIn("WatchdogSeconds", said)

    def test_the_command_of_the_service_is_one_that_the_program_takes(self):
        lines = (DEPLOY / "gyre.service").read_text().splitlines()
        (command,) = [line.split()[1:] for line in lines if line.startswith("ExecStart=")]
        command[command.index("--listen") + 1] = "127.0.0.1:0"
        self.assertEqual(command.pop(0), "echo")
        with Server(*command) as server:
            self.assertServes(server)
            self.assertStops(server)


if __name__ == "__main__":
    children.main()
