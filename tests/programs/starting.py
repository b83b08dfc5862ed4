"""Ways to start, to listen, and to end."""

import ctypes
import mmap
import os
import signal
import socket
import sys
import threading
import time

from scripted import Told, behave, in_child, listener, park, say, serve_one_after_another

EXIT = {"x86_64": 60, "aarch64": 93}  # the number of exit(2), which ends one thread


def echo(told: Told) -> None:
    """A good server."""
    serve_one_after_another(listener(told.host, told.port))


def counts_clients(told: Told) -> None:
    """Tell each client how many came before it."""
    sock, number = listener(told.host, told.port), 0
    while True:
        connection, _ = sock.accept()
        with connection:
            connection.sendall(str(number).encode())
        number += 1


def waits_for_a_file(told: Told) -> None:
    """Listen as soon as a file is there."""
    say("waiting")
    while not told.file.exists():
        time.sleep(0.002)
    serve_one_after_another(listener(told.host, told.port))


def never_listens(_: Told) -> None:
    """Only be there."""
    say("here")
    park()


def exits(told: Told) -> None:
    """End at once with a status, and say something before."""
    say("the last line")
    print("the last error", file=sys.stderr)
    sys.exit(int(told.words[0]))


def dies_of(told: Told) -> None:
    """End by a signal."""
    os.kill(os.getpid(), int(told.words[0]))
    park()


def elsewhere(told: Told) -> None:
    """Listen on another host than told; `0` as a second word: on another port, too."""
    port = 0 if len(told.words) > 1 else told.port
    serve_one_after_another(listener(told.words[0], port))


def hands_over(told: Told) -> None:
    """Fork; the child serves, the parent exits."""
    sock = listener(told.host, told.port)
    in_child(lambda: serve_one_after_another(sock))


def closes_its_output(told: Told) -> None:
    """Serve without standard streams."""
    for stream in (0, 1, 2):
        os.close(stream)
    serve_one_after_another(listener(told.host, told.port))


def will_not_stop(told: Told) -> None:
    """Ignore what asks a program to stop, and say so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: say(f"I ignore {signal.Signals(received).name}"))
    sock = listener(told.host, told.port)
    say("ready")
    serve_one_after_another(sock)


def leaves_time_wait(told: Told) -> None:
    """Close the first connection before its client does, so that the port stays in TIME_WAIT; then serve."""
    sock = listener(told.host, told.port)
    connection, _ = sock.accept()
    connection.close()
    serve_one_after_another(sock)


def is_its_own_client(told: Told) -> None:
    """Serve, connect to oneself, send three bytes that nobody reads, and say from which port."""
    sock = listener(told.host, told.port)
    with socket.create_connection((told.host, told.port)) as client:
        client.sendall(b"abc")
        say(f"{client.getsockname()[1]}")
        park()
    sock.close()


def shows_its_world(told: Told) -> None:
    """Say what it was started with: descriptors, standard input, session, folder."""
    open_now = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    say(",".join(sorted(open_now)))
    say(repr(sys.stdin.read()))
    say(str(os.getsid(0) == os.getpid()))
    say(os.getcwd())
    serve_one_after_another(listener(told.host, told.port))


def leader_ends_first(told: Told) -> None:
    """End the first thread alone (pthread_exit), while another one counts into a file."""
    with told.file.open("r+b") as file:
        numbers = mmap.mmap(file.fileno(), 8)

    def count() -> None:
        number = 0
        while True:
            number += 1
            numbers[:] = number.to_bytes(8, "little")

    threading.Thread(target=count).start()
    ctypes.CDLL(None).syscall(EXIT[os.uname().machine], 0)


if __name__ == "__main__":
    behave(
        echo,
        counts_clients,
        waits_for_a_file,
        never_listens,
        exits,
        dies_of,
        elsewhere,
        hands_over,
        closes_its_output,
        will_not_stop,
        leaves_time_wait,
        is_its_own_client,
        shows_its_world,
        leader_ends_first,
    )
