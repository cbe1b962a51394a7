"""pingpong: the client counts what the server returned."""

import re
import socket
import threading

import example
from example import ANY_PORT, LOOPBACK

USAGE, SETUP = 2, 1


class PingPongTest(example.ExampleTest):
    def test_the_client_says_how_much_went_to_and_fro(self):
        server = self.start("pingpong_server", ANY_PORT, "2")
        for connections, size in ((1, 1), (20, 100_000)):
            outcome = example.run("pingpong_client", server.address, str(connections), str(size),
                                  "1")
            self.assertEqual((outcome.status, outcome.complaints), (0, []), outcome)
            line = re.fullmatch(r"(\d+) connections, (\d+) bytes: ([\d.]+) MiB/s, (\d+) "
                                r"messages/s\n", outcome.out)
            self.assertIsNotNone(line, outcome)
            self.assertEqual(line.groups()[:2], (str(connections), str(size)))
            messages = int(line[4])
            self.assertGreater(messages, 10)
            self.assertAlmostEqual(float(line[3]), messages * size / 2**20, delta=0.2)
        self.assertStops(server)

    def test_it_counts_what_came_back(self):
        listener = self.keep(socket.create_server((LOOPBACK, 0)))
        port, size, returned = listener.getsockname()[1], 1000, []

        def echo():
            peer, _ = listener.accept()
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data)
                    returned.append(len(data))

        server = threading.Thread(target=echo)
        server.start()
        outcome = example.run("pingpong_client", f"{LOOPBACK}:{port}", "1", str(size), "1")
        server.join()
        counted = float(outcome.out.split()[4]) * 2**20  # of about one second
        self.assertTrue(0.3 < counted / sum(returned) < 1.5, (counted, sum(returned)))

    def test_where_nobody_listens_it_says_so_and_fails(self):
        holder, address = example.closed_port()
        self.keep(holder)
        self.assertFails(example.run("pingpong_client", address, "3"), SETUP, address, "refused",
                         "start pingpong_server")

    def test_what_is_no_number_is_refused(self):
        for wrong in ("0", "-1", "ten", "1.5", ""):
            self.assertFails(example.run("pingpong_client", ANY_PORT, wrong), USAGE, f"'{wrong}'",
                             "usage: pingpong_client")


if __name__ == "__main__":
    example.main()
