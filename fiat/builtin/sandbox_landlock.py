"""A second layer around a sandboxed job, from the kernel's Landlock: no signal and no abstract socket leads out of it.

Its rules for files can't be used here: who is under them may not mount, and bubblewrap has yet to. Mounts and
namespaces do that part.
"""

import ctypes
import os
import struct

# Source: landlock(7), linux/landlock.h; the numbers of the calls are the same on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ASK_VERSION = 1
_SCOPES_SINCE = 6
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_NO_NEW_PRIVILEGES = 38


def landlock_version() -> int:
    """Version of the kernel's Landlock; 0 where there is none."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    return max(0, int(call(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)))


def stay_inside() -> bool:
    """Bind this process, and all that it starts, to signals and abstract sockets among themselves.

    Also gives up new privileges by set-user-id programs. Called in a forked child, which has one thread.

    Returns:
        Whether the kernel can do it.
    """
    if landlock_version() < _SCOPES_SINCE:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    rules = struct.pack("=QQQ", 0, 0, _ABSTRACT_SOCKETS | _SIGNALS)
    ruleset = library.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return False
    try:
        one, nothing = ctypes.c_ulong(1), ctypes.c_ulong(0)
        library.prctl(_NO_NEW_PRIVILEGES, one, nothing, nothing, nothing)
        return bool(library.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
