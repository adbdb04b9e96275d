"""System calls that a sandboxed job is refused: a filter for the kernel, as bytes.

They are what nothing that trains a model needs and what attacks on the kernel use: tracing, mounts, namespaces, BPF,
io_uring, keys, modules, the clock, and typing into a terminal. Calls by which processes of one job share memory, as those
that train on several GPUs do, are allowed: a job sees no other processes than its own.
"""

import errno
import platform
import struct

# Source: seccomp(2), linux/filter.h, linux/audit.h; numbers from the kernel's syscall_64.tbl and unistd.h (asm-generic).
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000
_NUMBER_AT, _ARCH_AT, _FIRST_AT, _SECOND_AT = (
    0,
    4,
    16,
    24,
)  # in struct seccomp_data; low halves, little endian
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* of clone(2)
_TYPE_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
}
# name: (x86_64, aarch64)
_REFUSED = {
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "clock_settime": (227, 112),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "finit_module": (313, 273),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
}
_CLONE, _CLONE3, _IOCTL = (56, 220), 435, (16, 29)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def filter_program(machine: str = "") -> bytes:
    """The filter for this kind of machine, as `struct sock_filter[]`; empty for one that has none here.

    Args:
        machine: as `platform.machine()` says; empty is this one.
    """
    found = _ARCHITECTURES.get(machine or platform.machine())
    if found is None:
        return b""
    column, architecture = found
    program = [_step(_LOAD, _ARCH_AT), *_unless(_EQUAL, architecture, _refuse(errno.ENOSYS))]
    program.append(_step(_LOAD, _NUMBER_AT))
    if column == 0:  # the 32-bit numbering of the same machine
        program += _when(_AT_LEAST, _X32, _refuse(errno.ENOSYS))
    for number in (*_EVERYWHERE.values(), *(pair[column] for pair in _REFUSED.values())):
        program += _when(_EQUAL, number, _refuse(errno.EPERM))
    # clone3 hides its flags behind a pointer; C libraries fall back to clone when it is not there.
    program += _when(_EQUAL, _CLONE3, _refuse(errno.ENOSYS))
    clone = [_step(_LOAD, _FIRST_AT), _step(_AND, _NEW_NAMESPACES), *_unless(_EQUAL, 0, _refuse(errno.EPERM))]
    program += _block(_CLONE[column], [*clone, _step(_RETURN, _ALLOW)])
    ioctl = [_step(_LOAD, _SECOND_AT)]
    for request in _TYPE_INTO_TERMINAL:
        ioctl += _when(_EQUAL, request, _refuse(errno.EPERM))
    program += _block(_IOCTL[column], [*ioctl, _step(_RETURN, _ALLOW)])
    program.append(_step(_RETURN, _ALLOW))
    return b"".join(program)


def _step(code: int, value: int, hit: int = 0, miss: int = 0) -> bytes:
    return struct.pack("=HBBI", code, hit, miss, value)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _REFUSE | error)


def _when(code: int, value: int, then: bytes) -> list[bytes]:
    return [_step(code, value, 0, 1), then]


def _unless(code: int, value: int, then: bytes) -> list[bytes]:
    return [_step(code, value, 1, 0), then]


def _block(number: int, steps: list[bytes]) -> list[bytes]:
    return [_step(_EQUAL, number, 0, len(steps)), *steps]
