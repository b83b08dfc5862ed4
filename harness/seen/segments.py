"""What the kernel has sent on a connection of ours: TCP_INFO, linux/tcp.h (Linux)."""

import socket
import struct
import sys

SEGS_OUT = 136  # where tcpi_segs_out stands in a struct tcp_info (RFC 4898, tcpEStatsPerfSegsOut)


def segments_sent(sock: socket.socket) -> int:
    """Return how many segments a socket has sent so far, acknowledgements included."""
    if sys.platform != "linux":
        raise OSError("only Linux counts the segments of a connection")
    (number,) = struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), SEGS_OUT)
    return int(number)
