"""Runs inside of a Python program: notes when its threads call what may wait, and for whom, and changes nothing else.

It is what the program's own interpreter starts, with the program and its arguments, so it imports nothing but the
standard library. A note is a list in JSON between two control characters, on the program's own
standard output, in one write(2), which a pipe keeps whole (pipe(7), PIPE_BUF):

    [process, thread, call, began, ended, who, bytes, data, note]

`thread` counts from 0, the main one; `began` and `ended` are seconds of time.monotonic(), a call that may wait is noted
when it begins, too (`ended` is null). `who` are the ports of those whom it is about, 0 is a listener; of a lock, the
thread that holds it.
"""

import itertools
import json
import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

BEGIN, END = "\x1e", "\x1f"
SHOWN = 24  # bytes of data in a note
MOST_WHO = 20
LISTENER = 0

_clock = time.monotonic
_output = os.dup(1)
_ports: dict[int, int] = {}  # of the other end, by descriptor; LISTENER for those who listen
_numbers = itertools.count()
_here = threading.local()


def _thread() -> int:
    if not hasattr(_here, "number"):
        _here.number, _here.inside = next(_numbers), False
    number: int = _here.number
    return number


def _note(call: str, began: float, ended: float | None, who: list[int], size: int, data: bytes, note: str) -> None:
    row = [os.getpid(), _thread(), call, began, ended, who[:MOST_WHO], size, data[:SHOWN].decode("latin-1"), note]
    os.write(_output, f"{BEGIN}{json.dumps(row)}{END}".encode("ascii"))


def _record(
    call: str,
    act: Callable[[], Any],
    who: Callable[[Any], list[int]],
    waits: bool,
    seen: Callable[[Any], tuple[int, bytes, str]] = lambda _: (0, b"", ""),
) -> Any:
    """Do something and note it, unless it is a part of something that is being noted already."""
    _thread()
    if _here.inside:
        return act()
    _here.inside = True
    began = _clock()
    result, size, data, note = None, 0, b"", ""
    try:
        if waits:
            _note(call, began, None, who(None), 0, b"", "")
        result = act()
        size, data, note = seen(result)
        return result
    except BaseException as error:
        note = type(error).__name__
        raise
    finally:
        _note(call, began, _clock(), who(result), size, data, note)
        _here.inside = False


# Sockets


def _port(sock: socket.socket) -> list[int]:
    return [_ports[sock.fileno()]] if sock.fileno() in _ports else []


def _learn(sock: socket.socket, address: Any) -> None:
    if isinstance(address, tuple):
        _ports[sock.fileno()] = address[1]


def _of_socket(name: str, seen: Callable[[Any, tuple[Any, ...]], tuple[int, bytes, str]]) -> None:
    original = getattr(socket.socket, name)

    def call(self: socket.socket, *args: Any, **options: Any) -> Any:
        return _record(
            name,
            lambda: original(self, *args, **options),
            lambda _: _port(self),
            self.gettimeout() != 0,
            lambda result: seen(result, args),
        )

    setattr(socket.socket, name, call)


def _watch_sockets() -> None:
    for name in ("recv", "recvmsg", "recvfrom"):
        _of_socket(name, lambda got, _: (len(data := got if isinstance(got, bytes) else got[0]), data, ""))
    _of_socket("recv_into", lambda size, args: (size, bytes(memoryview(args[0])[: min(size, SHOWN)]), ""))
    _of_socket("send", lambda size, args: (size, bytes(args[0][:SHOWN]), "" if size == len(args[0]) else "a part"))
    _of_socket("sendall", lambda _, args: (len(args[0]), bytes(args[0][:SHOWN]), ""))
    _of_socket("sendmsg", lambda size, _: (size, b"", ""))
    accept, connect = socket.socket.accept, socket.socket.connect
    listen, close, shutdown = socket.socket.listen, socket.socket.close, socket.socket.shutdown

    def accepted(self: socket.socket) -> Any:
        def act() -> Any:
            connection, address = accept(self)
            _learn(connection, address)
            return connection, address

        def who(result: Any) -> list[int]:
            return _port(result[0]) if result else []

        return _record("accept", act, who, self.gettimeout() != 0)

    def connected(self: socket.socket, address: Any) -> None:
        _learn(self, address)
        _record("connect", lambda: connect(self, address), lambda _: _port(self), self.gettimeout() != 0)

    def listening(self: socket.socket, *args: Any) -> None:
        listen(self, *args)
        _ports[self.fileno()] = LISTENER

    def closed(self: socket.socket) -> None:
        who = _port(self)
        _ports.pop(self.fileno(), None)
        if who:
            _record("close", lambda: close(self), lambda _: who, waits=False)
        else:
            close(self)

    def shut(self: socket.socket, how: int) -> None:
        _record("shutdown", lambda: shutdown(self, how), lambda _: _port(self), waits=False)

    changed = {"accept": accepted, "connect": connected, "listen": listening, "close": closed, "shutdown": shut}
    for name, function in changed.items():
        setattr(socket.socket, name, function)


# Readiness


def _ports_of(ready: Any) -> list[int]:
    descriptors = [one if isinstance(one, int) else one.fileno() for one in ready]
    return [_ports[descriptor] for descriptor in descriptors if descriptor in _ports]


def _watched(number: int, result: Any) -> str:
    return f"{len(result)} of {number} ready"


def _watch_select() -> None:
    original = select.select

    def selected(r: Any, w: Any, x: Any, timeout: float | None = None) -> Any:
        sets = (list(r), list(w), list(x))
        return _record(
            "select",
            lambda: original(sets[0], sets[1], sets[2], timeout),
            lambda result: _ports_of([*result[0], *result[1]]) if result else [],
            timeout != 0,
            lambda result: (0, b"", _watched(sum(map(len, sets)), [one for each in result for one in each])),
        )

    select.select = selected


class _Poller:
    """`select.poll()` or `select.epoll()`, noted."""

    def __init__(self, inner: Any, call: str) -> None:
        self._inner, self._call, self._number = inner, call, 0

    def register(self, *args: Any) -> Any:
        self._number += 1
        return self._inner.register(*args)

    def unregister(self, *args: Any) -> Any:
        self._number -= 1
        return self._inner.unregister(*args)

    def poll(self, timeout: Any = None, *args: Any) -> Any:
        return _record(
            self._call,
            lambda: self._inner.poll(timeout, *args),
            lambda result: _ports_of(descriptor for descriptor, _ in result or ()),
            timeout != 0,
            lambda result: (0, b"", _watched(self._number, result)),
        )

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _watch_pollers() -> None:
    for name in ("poll", "epoll"):
        if original := getattr(select, name, None):

            def make(*args: Any, _original: Any = original, _name: str = name, **options: Any) -> _Poller:
                return _Poller(_original(*args, **options), _name)

            setattr(select, name, make)


def _watch_selectors() -> None:
    calls = {"SelectSelector": "select", "PollSelector": "poll", "EpollSelector": "epoll", "KqueueSelector": "kqueue"}
    for kind, call in calls.items():
        if found := getattr(selectors, kind, None):

            def chosen(self: Any, timeout: Any = None, _select: Any = found.select, _call: str = call) -> Any:
                return _record(
                    _call,
                    lambda: _select(self, timeout),
                    lambda result: _ports_of(key.fd for key, _ in result or ()),
                    timeout is None or timeout > 0,
                    lambda result: (0, b"", _watched(len(self.get_map()), result)),
                )

            found.select = chosen


# Threads


class _Lock:
    """`threading.Lock` or `RLock`: noted where somebody has to wait for it."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._holder = inner, 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        got: bool = self._inner.acquire(False)
        if not got and blocking:
            holder = self._holder
            got = _record("lock", lambda: self._inner.acquire(True, timeout), lambda _: [holder], waits=True)
        if got:
            self._holder = _thread()
        return got

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self._inner.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _watch_threads() -> None:
    lock, rlock, start = threading.Lock, threading.RLock, threading.Thread.start
    setattr(threading, "Lock", lambda: _Lock(lock()))  # noqa: B010 (for a type checker, it is a class)
    setattr(threading, "RLock", lambda: _Lock(rlock()))  # noqa: B010

    def started(self: threading.Thread) -> None:
        run = self.run

        def noted() -> None:
            _note("thread", _clock(), None, [], 0, b"", self.name)
            try:
                run()
            finally:
                _note("end", _clock(), _clock(), [], 0, b"", "")

        self.run = noted  # type: ignore[method-assign]
        start(self)

    threading.Thread.start = started  # type: ignore[method-assign]
    holders: tuple[tuple[Any, str], ...] = (
        (threading.Thread, "join"),
        (threading.Condition, "wait"),
        (time, "sleep"),
        (signal, "pause"),
        (signal, "sigwait"),
        (os, "waitpid"),
    )
    for holder, name in holders:
        if hasattr(holder, name):
            setattr(holder, name, _waiting(name, getattr(holder, name)))
    leave = os._exit

    def left(status: int) -> None:
        _note("end", _clock(), _clock(), [], 0, b"", "")
        leave(status)

    os._exit = left  # type: ignore[assignment]


def _waiting(call: str, original: Any) -> Any:
    return lambda *args, **options: _record(call, lambda: original(*args, **options), lambda _: [], waits=True)


# The keyboard


class _Keys:
    """`sys.stdin`, or its `buffer`, noted."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def buffer(self) -> Any:
        return _Keys(self._inner.buffer)

    def _noted(self, name: str, args: Any) -> Any:
        return _record(name, lambda: getattr(self._inner, name)(*args), lambda _: [], True, _typed)

    def readline(self, *args: Any) -> Any:
        return self._noted("readline", args)

    def read(self, *args: Any) -> Any:
        return self._noted("read", args)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if line := self.readline():
            return line
        raise StopIteration

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _typed(got: Any) -> tuple[int, bytes, str]:
    data = got.encode() if isinstance(got, str) else got
    return len(data), data, ""


def _run(program: str, arguments: list[str]) -> None:
    """Become a program: as `python program arguments` would."""
    sys.argv = [program, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    with open(program, "rb") as file:
        code = compile(file.read(), program, "exec")
    main = types.ModuleType("__main__")
    main.__file__ = program
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    _note("thread", _clock(), None, [], 0, b"", "main thread")
    _watch_sockets()
    _watch_select()
    _watch_pollers()
    _watch_selectors()
    _watch_threads()
    sys.stdin = _Keys(sys.stdin)
    exec(code, main.__dict__)


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2:])
