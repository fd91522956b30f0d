"""Run a command that ends when its supervisor does: `child.py PARENT_PID COMMAND …`.

The kernel sends this process SIGTERM when the parent dies, however it dies, and exec keeps that.
A program of its own because the same call between fork and exec of a threaded process may hang.
Must not: import anything of ours (it is run by path, without site-packages).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, make sure that the parent still lives, and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")
    os.execvp(command[0], command)  # noqa: S606 - it is the supervisor's command


if __name__ == "__main__":
    main()
