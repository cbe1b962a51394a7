"""file_transfer: the whole file, to clients quick and slow, in bounded memory."""

import hashlib
import os
import random
import socket
import tempfile

import example
from example import ANY_PORT, receive_all

SETUP = 1


class FileTransferTest(example.ExampleTest):
    def makeFile(self, write):
        file = tempfile.NamedTemporaryFile()
        self.addCleanup(file.close)
        write(file)
        file.flush()
        return file.name

    def test_every_client_gets_the_whole_file_and_then_the_end(self):
        data = random.Random(4).randbytes(5_000_003)
        server = self.start("file_transfer", self.makeFile(lambda file: file.write(data)),
                            ANY_PORT)
        silent, ended = self.connect(server), self.connect(server)
        ended.shutdown(socket.SHUT_WR)  # nothing to say: it still gets all of it
        for peer in (silent, ended, self.connect(server)):
            received = receive_all(peer)
            self.assertEqual(len(received), len(data))
            self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(data).digest())
        self.assertStops(server)

    def test_an_empty_file_is_the_end_at_once(self):
        server = self.start("file_transfer", os.devnull, ANY_PORT)
        self.assertEnds(self.connect(server))
        self.assertStops(server)

    def test_twenty_clients_that_wait_do_not_bring_a_large_file_into_memory(self):
        size = 64 * 1024 * 1024
        server = self.start("file_transfer", self.makeFile(lambda file: file.truncate(size)),
                            ANY_PORT)
        waiting = [self.connect(server, ((socket.SO_RCVBUF, 4096),)) for _ in range(20)]
        with server.connect() as reader:
            self.assertEqual(len(receive_all(reader)), size)
        self.assertLess(server.memory(), 48 * 1024 * 1024)
        for peer in waiting:
            self.assertEqual(peer.recv(1), b"\0")
        self.assertStops(server)

    def test_a_file_that_cannot_be_read_is_named(self):
        self.assertFails(example.run("file_transfer", "/nowhere/at/all", ANY_PORT), SETUP,
                         "cannot read /nowhere/at/all", "No such file")


if __name__ == "__main__":
    example.main()
