"""Programs that become many: daemons, crowds, chains."""

import mmap
import os
import signal
import sys
import threading
import time

from scripted import Told, behave, in_child, listener, park, park_within, say, serve_one_after_another

SHORT_LIFE = 60.0  # seconds after which a process ends by itself, should a test fail to end it


def daemon(told: Told) -> None:
    """Fork twice, leave the session, serve; `bare`: with an empty environment; the first process goes on."""

    def between() -> None:
        os.setsid()
        in_child(serve)

    def serve() -> None:
        if "bare" in told.words:
            words = [sys.executable, __file__, "serves_bare", "--host", told.host, "--port", str(told.port)]
            os.execve(sys.executable, words, {})
        serves_bare(told)

    os.waitpid(in_child(between), 0)
    park_within(SHORT_LIFE)


def serves_bare(told: Told) -> None:
    """Serve, and tell one's number."""
    sock = listener(told.host, told.port)
    say(f"daemon {os.getpid()}")
    signal.alarm(int(SHORT_LIFE))
    serve_one_after_another(sock)


def crowd(told: Told) -> None:
    """Fork children that ignore what they can; every third leaves the session."""

    def child(number: int) -> None:
        for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        if number % 3 == 0:
            os.setsid()
        park_within(SHORT_LIFE)

    pids = [in_child(lambda number=number: child(number)) for number in range(int(told.words[0]))]  # type: ignore
    sock = listener(told.host, told.port)
    say(" ".join(map(str, pids)))
    serve_one_after_another(sock)


def runs_away(told: Told) -> None:
    """Hand over to a new child again and again, each parent ending at once."""
    say(f"from {os.getpid()}")
    end = time.monotonic() + SHORT_LIFE
    for _ in range(int(told.words[0])):
        if os.fork():
            os._exit(0)
        if time.monotonic() > end:
            break
    serve_one_after_another(listener(told.host, told.port))


def _counts(numbers: mmap.mmap, slot: int) -> None:
    number = 0
    while True:
        number += 1
        numbers[8 * slot : 8 * slot + 8] = number.to_bytes(8, "little")


def family_counts(told: Told) -> None:
    """Count into three places of a file: a thread, a child, and the child's child."""
    with told.file.open("r+b") as file:
        numbers = mmap.mmap(file.fileno(), 24)

    def child() -> None:
        in_child(lambda: _counts(numbers, 2))
        _counts(numbers, 1)

    in_child(child)
    sock = listener(told.host, told.port)
    threading.Thread(target=_counts, args=(numbers, 0), daemon=True).start()
    serve_one_after_another(sock)


def breeds(told: Told) -> None:
    """Fork child after child without a pause; each adds to a file and ends."""
    listening = listener(told.host, told.port)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    end = time.monotonic() + SHORT_LIFE
    while time.monotonic() < end:
        if os.fork() == 0:
            with told.file.open("ab") as file:
                file.write(b"x")
            os._exit(0)
    listening.close()


def many_threads_work(told: Told) -> None:
    """Let eight threads make system calls all the time, while the first one sleeps."""

    def work() -> None:
        with open("/dev/zero", "rb", buffering=0) as zeros:
            while True:
                zeros.read(1 << 20)

    for _ in range(8):
        threading.Thread(target=work, daemon=True).start()
    sock = listener(told.host, told.port)
    park()
    sock.close()


if __name__ == "__main__":
    behave(daemon, serves_bare, crowd, runs_away, family_counts, breeds, many_threads_work)
