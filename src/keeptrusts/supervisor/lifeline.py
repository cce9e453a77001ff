"""The line between a supervisor and its children: when the supervisor is gone, however it went, they end too.

The supervisor holds the write end of a pipe, each child the read end. The kernel closes the write end with its holder,
also after `kill -9`, and the child reads the end of the file. Linux is asked for the signal besides.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import MutableMapping

LIFELINE_FD = "KEEPTRUSTS_LIFELINE_FD"
GRACE_S = 8.0
"""How long a child may take to end in order once its supervisor is gone."""
PR_SET_PDEATHSIG = 1


def make_lifeline() -> tuple[int, int]:
    """The pipe of a supervisor: the end its children read, and the end it alone keeps (neither passes an exec by itself)."""
    return os.pipe()


def hold_lifeline(environ: MutableMapping[str, str], linger_s: float = 0.0, grace_s: float = GRACE_S) -> bool:
    """In a child: from now on this process gets SIGTERM when its supervisor is gone, and ends ``grace_s`` later whatever it
    does.

    ``linger_s`` puts SIGTERM off, for a child that others need while they end. False, and nothing is done, in a process that
    no supervisor started. The variable is taken out, so that nothing inherits it.
    """
    number = environ.pop(LIFELINE_FD, "")
    if not number.isdigit():
        return False
    os.set_inheritable(int(number), False)
    if sys.platform == "linux" and not linger_s:
        _ask_kernel_for_a_signal()
    thread = threading.Thread(
        target=_end_with_supervisor, args=(int(number), linger_s, grace_s), name="lifeline", daemon=True
    )
    thread.start()
    return True


def _end_with_supervisor(fd: int, linger_s: float, grace_s: float) -> None:
    os.read(fd, 1)  # nobody ever writes: this returns when the write end is closed
    time.sleep(linger_s)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)


def _ask_kernel_for_a_signal() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
