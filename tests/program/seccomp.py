"""Filters on system calls, written as classic BPF by hand, and put on the child before exec."""

import ctypes
import json
import platform
import re

HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
IS_POSSIBLE = platform.machine() == "x86_64"
IO_URING = (425, 426, 427)  # setup, enter, register

_ARCH_X86_64 = 0xC000003E
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCH_AT = 0, 4  # in struct seccomp_data
_SET_SECCOMP, _MODE_FILTER, _SET_NO_NEW_PRIVS = 22, 2, 38

_libc = ctypes.CDLL(None, use_errno=True)


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("if_true", ctypes.c_uint8),
                ("if_false", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("start", ctypes.POINTER(_Instruction))]


def _filter(numbers, matched, otherwise):
    code = [(_LOAD, 0, 0, _ARCH_AT), (_JUMP_EQUAL, 1, 0, _ARCH_X86_64), (_RETURN, 0, 0, _KILL),
            (_LOAD, 0, 0, _NUMBER_AT)]
    for number in sorted(numbers):
        code += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, matched)]
    code.append((_RETURN, 0, 0, otherwise))
    return (_Instruction * len(code))(*code)


def _installer(instructions):
    program = _Program(len(instructions), instructions)

    def install():
        if _libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
        if _libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")

    return install


def refusing(numbers, error):
    """For preexec_fn: these calls fail with that error, all others work."""
    return _installer(_filter(numbers, _ERRNO | error, _ALLOW))


def numbers_by_name():
    with open(HEADER, encoding="ascii") as header:
        return {name: int(number)
                for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read())}


def permitting_profile(path):
    """For preexec_fn: what a container engine makes of the profile on this machine."""
    with open(path, encoding="utf-8") as file:
        profile = json.load(file)
    if profile["defaultAction"] != "SCMP_ACT_ERRNO":
        raise AssertionError("the profile must refuse what it does not name")
    numbers = numbers_by_name()
    allowed = set()
    for rule in profile["syscalls"]:
        if rule["action"] != "SCMP_ACT_ALLOW" or rule.get("args"):
            raise AssertionError(f"a rule that this filter cannot express: {rule}")
        allowed |= {numbers[name] for name in rule["names"] if name in numbers}
    return _installer(_filter(allowed, _ALLOW, _ERRNO | profile["defaultErrnoRet"]))
