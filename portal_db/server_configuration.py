"""The text of postgresql.conf for the embedded server, written at each of its starts.

Must not: start anything. What a single session needs more of (work_mem for a large diff) that
session sets for itself.
"""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1024 * 1024
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def configuration(socket_folder: Path, *, fsync: bool) -> str:
    """postgresql.conf for a server whose only address is a socket in `socket_folder`."""
    memory = memory_bytes()
    values: dict[str, str] = {
        # one address, which only the owner (and root) can open
        "listen_addresses": "''",
        "unix_socket_directories": f"'{str(socket_folder).replace(chr(39), chr(39) * 2)}'",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        # memory: the figures of docs were measured with 1 GB of shared buffers
        "shared_buffers": f"{min(memory // 4, 1024 * MIB) // MIB}MB",
        "effective_cache_size": f"{memory // 2 // MIB}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{min(memory // 16, 256 * MIB) // MIB}MB",
        "dynamic_shared_memory_type": _shared_memory_type(),
        # write-ahead log: rows spread over all pages cost a full page each after a checkpoint
        "wal_level": "replica",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        # one dialect everywhere
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "datestyle": "'ISO, YMD'",
        "lc_messages": "'C'",
        # compiling a plan costs more than the short statements of this system take
        "jit": "off",
        "random_page_cost": "1.1",
        "log_line_prefix": "'%m [%p] %q%d %a '",
        "log_lock_waits": "on",
    }
    if not fsync:
        values |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    lines = [f"{name} = {value}" for name, value in values.items()]
    head = "# Written at each start; set another value with ALTER SYSTEM.\n"
    return head + "\n".join(lines) + "\n"


def memory_bytes() -> int:
    """The memory this machine, or the container around us, has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CONTAINER_LIMITS:
        try:
            return min(physical, int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return physical


def _shared_memory_type() -> str:
    """Containers often have 64 MB of /dev/shm, which one parallel hash join can fill."""
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - only its size is asked
    except OSError:
        return "sysv"
    return "posix" if shm.f_frsize * shm.f_blocks >= 512 * MIB else "sysv"
