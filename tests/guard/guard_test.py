"""What the guard lets pass, what it does not, and how it reads what was counted."""

import unittest

import counts
import judge

CALLGRIND = """\
desc: Trigger: Client Request: message of 64 B 10
ob=/bin/gyre_guard
fl=/tree/build/release/../../src/connection/TcpConnection.cc
fn=gyre::TcpConnection::settle()
40 100
41 20
cfi=/usr/lib/libc.c
cfn=memcpy
calls=10 0
42 5000
fi=/usr/include/c++/12/atomic
43 30
fl=/tree/include/gyre/loop/CoarseTime.h
fn=gyre::TcpConnection::updateReading()
9 50
fl=./string/memcpy.S
fn=memcpy
7 5000
fl=/tree/src/sim/SimKernel.cc
fn=gyre::SimKernel::step()
7 1
fl=/usr/include/c++/12/vector
fn=gyre::SimScheduler::enter()
7 2
"""

STRACE = """\
12 socket(AF_INET, SOCK_STREAM, 0)   = 4
12 write(-1, "begin", 5)             = -1 EBADF (Bad file descriptor)
12 io_uring_enter(4, 1, 1, 0) = 1
13 futex(0x1, FUTEX_WAIT <unfinished ...>
12 readv(7, "xx", 1) = 2
12 madvise(0x1, 4096, MADV_DONTNEED) = 0
12 socket(AF_INET <unfinished ...>
12 <... socket resumed>) = 5
13 <... futex resumed>) = 0
12 write(-1, "end message, many 4", 5 <unfinished ...>
12 close(4) = 0
"""


class ReadingTest(unittest.TestCase):
    def test_callgrind_ownCostsByPartPerMessage(self):
        load, parts = counts.read_callgrind(CALLGRIND.splitlines())
        self.assertEqual(load, "message of 64 B")
        self.assertEqual(parts["net"], {"gyre::TcpConnection::settle()": 15.0,
                                        "gyre::TcpConnection::updateReading()": 5.0})
        self.assertEqual(parts["library"], {"memcpy": 500.0})
        self.assertAlmostEqual(sum(parts["sim"].values()), 0.3)

    def test_strace_callsBetweenTheMarksWithoutItsOwn(self):
        self.assertEqual(counts.read_strace(STRACE.splitlines()), {
            "message, many": {"io_uring_enter": {"io_uring_enter": 0.25},
                              "socket": {"socket": 0.25}}})


class JudgeTest(unittest.TestCase):
    BUDGETS = {"message": {"net": 500, "loop": 100}}

    def judged(self, net, loop=100, how=judge.judge):
        counted = {"message": {"net": {"deliver": net - 1, "settle": 1}, "loop": {"run": loop}}}
        return how("instructions", counted, self.BUDGETS)

    def test_tenPercentMoreInOnePart_fails(self):
        complaints, _ = self.judged(550)
        self.assertEqual(len(complaints), 1)
        self.assertIn("message: net: 550 instructions, the budget is 500 (+10.0%)", complaints[0])
        self.assertIn("deliver", complaints[0])

    def test_tenPercentMoreInASmallPart_fails(self):
        self.assertEqual(len(self.judged(500, loop=110)[0]), 1)

    def test_fivePercentMore_passes(self):
        self.assertEqual(self.judged(525), ([], []))

    def test_anotherCompiler_isJudgedByTheSumAndMayDifferMore(self):
        self.assertEqual(self.judged(550, loop=190, how=judge.judge_foreign)[0], [])
        self.assertEqual(len(self.judged(550, loop=210, how=judge.judge_foreign)[0]), 1)

    def test_tenPercentLess_isToldAndPasses(self):
        complaints, remarks = self.judged(450)
        self.assertEqual(complaints, [])
        self.assertEqual(len(remarks), 1)

    def test_aPartWithoutBudget_fails(self):
        counted = {"message": {"net": {}, "loop": {}, "library": {"malloc": 50}}}
        self.assertEqual(len(judge.judge("instructions", counted, self.BUDGETS)[0]), 1)

    def test_oneMoreCallPerMessage_fails(self):
        counted = {"message": {"recvfrom": {"recvfrom": 2.0}}}
        budgets = {"message": {"recvfrom": 1.0}}
        self.assertEqual(len(judge.judge("calls", counted, budgets)[0]), 1)

    def test_loadsThatDoNotMatchTheBudgets_fail(self):
        complaints, _ = judge.judge("instructions", {"other": {}}, self.BUDGETS)
        self.assertEqual(len(complaints), 2)

    def test_lowest_takesEachPartWhereItWasLess(self):
        one = {"message": {"net": {"a": 9}, "loop": {"b": 1}}}
        other = {"message": {"net": {"a": 3}, "loop": {"b": 2}}}
        self.assertEqual(judge.totals(judge.lowest(one, other)),
                         {"message": {"net": 3, "loop": 1}})


if __name__ == "__main__":
    unittest.main()
