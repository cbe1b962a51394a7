"""Correctness before speed: what an echo server must survive to be worth timing."""

import random
import socket
import struct
import subprocess
import threading
import time

from harness.load import load_command
from harness.servers import BenchError, Server

DEADLINE = 20.0

# connections, size, depth: each byte is compared, and every connection ends with a half-close.
CHECKED_LOADS = (
    (1, 1, 1),
    (50, 64, 16),
    (200, 1000, 4),
    (20, 16384, 4),
    (8, 262144, 2),
    (4, 1500000, 2),
)


def verify(spec, load_program, cpu):
    """Raises BenchError with the first thing that `spec` gets wrong."""
    with Server(spec, cpu) as server:
        try:
            _run_all(server, load_program)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"{spec.name}: {error!r}") from error
        status = server.stop()
    if status != 0:
        raise BenchError(f"{spec.name}: SIGTERM ended it with status {status}, not 0")


def _run_all(server, load_program):
    _stream(server, _eager_reader, total=1)
    idle_descriptors = _idle_descriptors(server)
    for shape in CHECKED_LOADS:
        _checked_load(server, load_program, shape)
    _stream(server, _eager_reader, total=8 << 20)
    _stream(server, _slow_reader, total=24 << 20, receive_buffer=1 << 16)
    _stream(server, _stuttering_reader(server), total=48 << 20)
    _bursts(server)
    _stalled_crowd(server)
    _resets(server)
    _stream(server, _eager_reader, total=1 << 20)
    _descriptors_return(server, idle_descriptors)


def _connect(server, receive_buffer=0):
    sock = socket.socket()
    sock.settimeout(DEADLINE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:  # So small that the server's sends fall short.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", server.port))
    return sock


def _checked_load(server, load_program, shape):
    connections, size, depth = shape
    arguments = ["--check", "--half-close", "--warmup", "0", "--duration", "0.3"]
    arguments += ["--connections", str(connections), "--size", str(size), "--depth", str(depth)]
    command = load_command(load_program, server.port, arguments)
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    if result.returncode != 0:
        raise BenchError(f"{server.spec.name}: {' '.join(command)}: {result.stderr.strip()}")


def _stream(server, reader, total, receive_buffer=0):
    """Sends `total` bytes and the FIN from one thread while `reader` takes the echo."""
    data = random.Random(total).randbytes(total)
    with _connect(server, receive_buffer) as sock:
        errors = []

        def send_all():
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                errors.append(error)

        sender = threading.Thread(target=send_all)
        sender.start()
        try:
            received = reader(sock)
        except OSError as error:
            errors.append(error)
            received = b""
        finally:
            if errors:
                _abort(sock)
            sender.join(DEADLINE)
    if errors or received != data:
        raise BenchError(
            f"{server.spec.name}: {reader.__name__}: of {total} bytes {len(received)} came back"
            f"{'' if received == data[:len(received)] else ', not in order'} {errors}"
        )


def _abort(sock):
    """Frees a thread that is blocked in a send on this socket."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _eager_reader(sock):
    chunks = []
    while chunk := sock.recv(1 << 18):
        chunks.append(chunk)
    return b"".join(chunks)


def _slow_reader(sock):
    """Lets every buffer on the way fill up before it reads, then takes small sips for a while."""
    time.sleep(0.5)
    chunks = []
    for _ in range(100):
        chunks.append(sock.recv(20000))
        time.sleep(0.002)
    return b"".join(chunks) + _eager_reader(sock)


def _stuttering_reader(server):
    """Stops the server now and then, so that the kernel's buffers fill up behind its back."""

    def reader(sock):
        received = bytearray()
        next_stop = 1 << 20
        while chunk := sock.recv(1 << 18):
            received += chunk
            if len(received) >= next_stop:
                next_stop += 4 << 20
                with server.stopped():
                    time.sleep(0.02)
        return received

    return reader


def _bursts(server):
    """Sizes from one byte to megabytes on one connection, in lock step: no FIN helps out."""
    rng = random.Random(7)
    with _connect(server) as sock:
        for _ in range(300):
            _burst(server, sock, rng.randbytes(int(2 ** rng.uniform(0, 18))))
        for _ in range(8):  # The kernel's buffers grow with what passes through them.
            _burst(server, sock, rng.randbytes(4 << 20))
        for _ in range(4):
            _burst(server, sock, rng.randbytes(3 << 20), while_stopped=2 << 20)


def _burst(server, sock, data, while_stopped=0):
    """Sends `data`, the first bytes of it behind the back of a stopped server; wants it back."""
    sent = 0
    if while_stopped:
        with server.stopped():
            time.sleep(0.01)
            sent = sock.send(data[:while_stopped])
            time.sleep(0.01)
    sender = threading.Thread(target=sock.sendall, args=(data[sent:],))
    sender.start()
    received = bytearray()
    while len(received) < len(data):
        chunk = sock.recv(1 << 18)
        if not chunk:
            break
        received += chunk
    sender.join(DEADLINE)
    if received != data:
        raise BenchError(f"{server.spec.name}: of a burst of {len(data)} bytes not all came back")


def _stalled_crowd(server, count=40, step=160 << 10):
    """Peers send small pieces and the FIN and read nothing until all are stuck or done.

    Their totals lie so close together that for some the FIN arrives while the last bytes wait in
    the server, between its send and its queue.
    """
    rng = random.Random(11)
    data = memoryview(rng.randbytes(count * step))
    limits = {_connect(server, receive_buffer=1 << 16): i * step for i in range(1, count + 1)}
    sent = _send_until_stuck(limits, data, rng)
    for peer in limits:
        peer.settimeout(DEADLINE)
        peer.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    for peer in limits:
        received = _eager_reader(peer)
        peer.close()
        if received != data[: sent[peer]]:
            raise BenchError(
                f"{server.spec.name}: a stalled peer was owed {sent[peer]} bytes and got"
                f" {len(received)}{'' if data[:len(received)] == received else ', not in order'}"
            )


def _send_until_stuck(limits, data, rng):
    """Sends to each peer in turn, up to its limit; the bytes sent, by peer."""
    sent = dict.fromkeys(limits, 0)
    for peer in limits:
        peer.setblocking(False)
    last_progress = time.monotonic()
    while time.monotonic() < last_progress + 0.1:
        for peer, limit in limits.items():
            piece = data[sent[peer] : min(sent[peer] + rng.randrange(1, 6000), limit)]
            try:
                count = peer.send(piece) if piece else 0
            except BlockingIOError:
                count = 0
            sent[peer] += count
            if count:
                last_progress = time.monotonic()
    return sent


def _resets(server):
    """Peers that vanish with bytes on their way in both directions."""
    peers = [_connect(server) for _ in range(40)]
    for peer in peers:
        peer.setblocking(False)
        try:
            while True:
                peer.send(bytes(1 << 18))
        except BlockingIOError:
            pass
    for peer in peers:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()


def _idle_descriptors(server):
    """The descriptors of a server that has served one connection and seen it close."""
    counts = []
    for _ in range(10):
        counts.append(server.descriptors())
        time.sleep(0.03)
    return min(counts)


def _descriptors_return(server, expected):
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if server.descriptors() <= expected:
            return
        time.sleep(0.02)
    raise BenchError(
        f"{server.spec.name}: {server.descriptors() - expected} descriptors left open"
    )
