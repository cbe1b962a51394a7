// CallTrap: chosen system calls of one thread go through a function, which may let them fail.
//
// A seccomp filter traps them, so that a call made without libc is seen too, and nothing has to be
// preloaded or built differently. What the function lets pass is made again with a mark in the
// upper half of its flags, which the kernel ignores.
//
// Thread  The calling one, and those that it starts.
// Ends    With the thread.
#pragma once

namespace gyre {

// 0 to let a call pass, or the errno value it fails with. Runs inside a signal handler.
using CallJudge = int (*)(long number) noexcept;

// Traps sendto, sendmsg and accept4. REQUIRES: the same judge for all threads of the process.
void trapCalls(CallJudge judge) noexcept;

}  // namespace gyre
