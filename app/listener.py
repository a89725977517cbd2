"""The end of a listening socket that cuts nobody off."""

import contextlib
import ctypes
import socket
import struct
import sys

# asm-generic/socket.h; Python's socket module has no name for it.
_SO_ATTACH_FILTER = 26

_SYN, _ACK = 0x02, 0x10

# Classic BPF (linux/filter.h) over a TCP header: the flags are its byte 13.
_DROP_NEWCOMERS = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in [
        (0x30, 0, 0, 13),  # load the flags
        (0x54, 0, 0, _SYN | _ACK),
        (0x15, 0, 1, _SYN),  # a first packet?
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # take all of any other
    ]
)


def take_no_more(listener: socket.socket) -> None:
    """Leave newcomers without an answer. They ask again after a second, and are refused once it is closed.

    Whoever connected before, or is about to, can still be accepted. Only Linux can do this; elsewhere nothing
    changes, and a connection that arrives between the last ``accept`` and the close is cut off.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(_DROP_NEWCOMERS, len(_DROP_NEWCOMERS))
    program = struct.pack("HL", len(_DROP_NEWCOMERS) // 8, ctypes.addressof(code))
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
