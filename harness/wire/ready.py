"""Waiting for one socket, whatever the number of its descriptor."""

import select
import socket


def wait_ready(sock: socket.socket, *, read: bool = False, write: bool = False, timeout: float) -> tuple[bool, bool]:
    """Wait, at most `timeout` seconds, until `sock` is readable or writable; return which of the two it is.

    poll(2) where there is one, because select(2) knows no descriptor above 1023.
    """
    if not hasattr(select, "poll"):
        readable, writable, _ = select.select([sock] * read, [sock] * write, [sock] * write, timeout)
        return bool(readable), bool(writable)
    poll = select.poll()
    poll.register(sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
    events = sum(event for _, event in poll.poll(max(0.0, timeout) * 1000))
    ended = events & (select.POLLERR | select.POLLHUP)
    return read and bool(events & select.POLLIN or ended), write and bool(events & select.POLLOUT or ended)
