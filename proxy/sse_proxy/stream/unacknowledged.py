"""What the kernel still holds for a peer."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios


def unacknowledged(sock: socket.socket | None) -> int:
    """Bytes that the kernel holds for the peer (`TIOCOUTQ`): a reset would drop them. 0 where it cannot be told."""
    if sock is None:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except OSError:
        return 0
