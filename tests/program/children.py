"""The program as a child: started in any surroundings, spoken to, stopped, never left behind."""

import contextlib
import os
import pathlib
import re
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.environ.get("GYRE_PROGRAM", "")
PATIENCE = 25  # seconds, for whatever takes milliseconds on a machine at rest
LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\d \S+ gyre (trace|debug|info|warning|error) ")
LISTENING = "listening on "
SKIPPED = 77  # the exit status by which ctest knows a skip


class Outcome:
    """What a child that has ended leaves: status, and both outputs."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err
        lines = err.splitlines()
        self.log = [line for line in lines if LOG_LINE.match(line)]
        self.complaints = [line for line in lines if not LOG_LINE.match(line)]

    def __repr__(self):
        return f"status {self.status}\n--- stdout\n{self.out}--- stderr\n{self.err}"


def run(*args, program=None, prefix=(), **surroundings):
    """Runs the program to its end. Surroundings are those of subprocess.run."""
    surroundings.setdefault("stdout", subprocess.PIPE)
    surroundings.setdefault("stderr", subprocess.PIPE)
    done = subprocess.run([*prefix, program or PROGRAM, *args], text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE, **surroundings)
    return Outcome(done.returncode, done.stdout or "", done.stderr or "")


class Child:
    """A running program. Use as a context manager: whatever happens, it ends.

    Surroundings are those of subprocess.Popen.
    """

    def __init__(self, command, **surroundings):
        surroundings.setdefault("stdout", subprocess.PIPE)
        self._err = tempfile.TemporaryFile()
        surroundings.setdefault("stderr", self._err)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **surroundings)
        self.out = b""
        self.address = None

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._err.close()

    def await_line(self, words):
        """The first whole line of the output in which the words are. Ends the child without one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            whole = self.out[:self.out.rfind(b"\n") + 1].decode().splitlines()
            for line in whole:
                if words in line:
                    return line
            left = max(0, deadline - time.monotonic())
            readable, _, _ = select.select([self.process.stdout], [], [], left)
            piece = os.read(self.process.stdout.fileno(), 4096) if readable else b""
            if not piece:
                raise AssertionError(f"'{words}' never came: {self.end_by(signal.SIGKILL)}")
            self.out += piece

    def await_listening(self):
        self.address = self.await_line(LISTENING).removeprefix(LISTENING)

    def connect(self, options=()):
        return connect(self.address, options)

    def is_running(self):
        return self.process.poll() is None

    def end_by(self, number=signal.SIGTERM):
        """Sends the signal, waits for the end, and returns the Outcome."""
        if self.process.poll() is None and number is not None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=PATIENCE)
        self.out += self.process.stdout.read() if self.process.stdout else b""
        self._err.seek(0)
        return Outcome(status, self.out.decode(), self._err.read().decode())


class Server(Child):
    """gyre echo, running."""

    def __init__(self, *args, program=None, prefix=(), listen="127.0.0.1:0", awaits=True,
                 **surroundings):
        super().__init__([*prefix, program or PROGRAM, "echo", "--listen", listen, *args],
                         **surroundings)
        try:
            if awaits:
                self.await_listening()
        except BaseException:
            self.close()
            raise

    def await_listening(self):
        super().await_listening()
        self.await_line("try: ")

    @property
    def engine(self):
        return self.out.decode().splitlines()[1].split(",")[0].removeprefix("engine ")


class Burst:
    """Clients that each send again as soon as their echo has come."""

    MESSAGE = b"x" * 512

    def __init__(self, server, clients):
        self.echoes = 0
        self.open = clients
        self._selector = selectors.DefaultSelector()
        self._peers = [server.connect() for _ in range(clients)]
        for peer in self._peers:
            peer.setblocking(False)
            self._selector.register(peer, selectors.EVENT_READ)
            peer.send(self.MESSAGE)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for peer in self._peers:
            peer.close()
        self._selector.close()

    def pump(self, is_enough):
        deadline = time.monotonic() + PATIENCE
        while not is_enough():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.echoes} echoes, {self.open} clients open: no end")
            for key, _ in self._selector.select(1):
                self._answer(key.fileobj)

    def _answer(self, peer):
        try:
            if peer.recv(4096):
                self.echoes += 1
                peer.send(self.MESSAGE)
                return
        except (ConnectionResetError, BrokenPipeError):
            pass
        self._selector.unregister(peer)
        self.open -= 1


def connect(address, options=()):
    if address.startswith("unix:"):
        peer, to = socket.socket(socket.AF_UNIX), address[5:].replace("@", "\0", 1)
    else:
        host, port = address.rsplit(":", 1)
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        peer, to = socket.socket(family), (host.strip("[]"), int(port))
    peer.settimeout(PATIENCE)
    for option, value in options:
        peer.setsockopt(socket.SOL_SOCKET, option, value)
    peer.connect(to)
    return peer


def receive_all(peer):
    """Everything until the end of the stream."""
    pieces = []
    while piece := peer.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def receive_exactly(peer, size):
    received = bytearray()
    while len(received) < size:
        piece = peer.recv(size - len(received))
        if not piece:
            raise AssertionError(f"the stream ended after {len(received)} of {size} bytes")
        received += piece
    return received


def await_that(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.01)


@contextlib.contextmanager
def full_pipe():
    """The writing end of a pipe that is full, and stays so until the block ends."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(65536))
    os.set_blocking(writer, True)
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb") as pipe:
        yield pipe


@contextlib.contextmanager
def public_folder():
    """A folder that every user can read and write."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield pathlib.Path(name)


@contextlib.contextmanager
def public_program():
    """A copy that every user can run, wherever the build tree is."""
    with public_folder() as folder:
        copy = folder / "gyre"
        shutil.copy(PROGRAM, copy)
        copy.chmod(0o755)
        yield str(copy)


def become_nobody():
    """In the child: no privilege at all. Each child is a user of its own, because locked memory is
    counted by user. Does nothing when we have no privilege to lose."""
    if os.geteuid() != 0:
        return
    user = 200000 + os.getpid()
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


class ProgramTest(unittest.TestCase):
    def requireUring(self):
        if os.environ.get("GYRE_ALLOW_NO_URING") == "1" and run("doctor").status != 0:
            self.skipTest("io_uring is not available")

    def assertEchoes(self, peer, data=b"ping" * 250):
        peer.sendall(data)
        self.assertEqual(receive_exactly(peer, len(data)), data)

    def assertServes(self, server, clients=1):
        for _ in range(clients):
            with server.connect() as peer:
                self.assertEchoes(peer)

    def assertStops(self, server, number=signal.SIGTERM):
        outcome = server.end_by(number)
        self.assertEqual(outcome.status, 0, outcome)
        self.assertEqual(outcome.complaints, [], outcome)
        return outcome

    def assertFails(self, outcome, status, *words):
        """With that status, and one line of complaint in which all the words are."""
        self.assertEqual(outcome.status, status, outcome)
        self.assertEqual(len(outcome.complaints), 1, outcome)
        line = outcome.complaints[0]
        self.assertTrue(line.startswith("gyre: "), line)
        for word in words:
            self.assertIn(word, line)


def main():
    if not os.access(PROGRAM, os.X_OK):
        sys.exit("GYRE_PROGRAM must be the path of the built program")
    result = unittest.main(module="__main__", exit=False).result
    for test, reason in result.skipped:
        print(f"{test.id()}:0: Skipped\n{reason}\n", flush=True)  # as GoogleTest says it
    if not result.wasSuccessful() or result.testsRun == 0:
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped else 0)
