"""Another system, played on this one: `python elsewhere.py win32|darwin FILE|-m MODULE|-c CODE ...` runs the kit there.

What the kit and the programs in labs/ and solutions/ import is what Windows or macOS has: names and modules that are
not there are gone (typeshed, which mypy brings, says which names), `sys.platform` and `os.name` say where one is, and
what acts in another way there does so here. The standard library itself and the packages keep their Linux. Every Python
that the kit starts is started in the same way.

Not played: backslashes in paths, files that cannot be replaced while they are open.
"""

import ast
import builtins
import errno
import importlib
import os
import runpy
import select
import selectors
import shlex
import signal
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

WINDOWS, MACOS = "win32", "darwin"
MODULES = ["errno", "os", "select", "selectors", "signal", "socket", "sys", "time", "fcntl", "resource", "termios"]
ABSENT = {  # modules
    WINDOWS: {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"},
    MACOS: set(),
}
OURS = ("harness", "labs", "solutions", "runs")  # folders
MOST_SELECTED = 512  # FD_SETSIZE of Windows, as Python is built there
NO_SUCH_PRIVILEGE = "a required privilege is not held by the client"


def typeshed(module: str) -> Path:
    """Return the stub of a module of the standard library."""
    import mypy

    stubs = Path(mypy.__file__).parent / "typeshed" / "stdlib"
    package = stubs / module / "__init__.pyi"
    return package if package.is_file() else stubs / f"{module}.pyi"


def names_on(platform: str, statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that the statements of a stub define on a platform."""
    for one in statements:
        if isinstance(one, ast.If):
            holds = eval(compile(ast.Expression(one.test), "stub", "eval"), {"sys": Seen(platform)})
            yield from names_on(platform, one.body if holds else one.orelse)
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name
        elif isinstance(one, ast.AnnAssign | ast.Assign):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(one, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in one.names)


class Seen:
    """The `sys` of a stub."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self.version_info = sys.version_info


def missing(module: str, platform: str) -> set[str]:
    """Return the names that a module of the standard library has on Linux and not on a platform."""
    statements = ast.parse(typeshed(module).read_text(encoding="utf-8")).body
    return set(names_on("linux", statements)) - set(names_on(platform, statements))


class StandIn(ModuleType):
    """A module as it is on another system."""

    def __init__(self, module: ModuleType, gone: set[str], differs: dict[str, Any]) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(differs)
        self.__dict__.update(_module=module, _gone=gone)

    def __getattr__(self, name: str) -> Any:
        if name in self._gone:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)


class SelectOfWindows(selectors.SelectSelector):
    """Knows sockets alone, no more than so many, and not none at all."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a socket."""
        key = super().register(fileobj, events, data)
        only_sockets([key.fd])
        if len(self.get_map()) > MOST_SELECTED:
            raise ValueError("too many file descriptors in select()")
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for any of them."""
        if not self.get_map():
            raise OSError(errno.EINVAL, "An invalid argument was supplied")
        return super().select(timeout)


def only_sockets(descriptors: Iterable[Any]) -> None:
    """Raise OSError for what is none, as the select() of Windows does."""
    for one in descriptors:
        if not stat.S_ISSOCK(os.fstat(one if isinstance(one, int) else one.fileno()).st_mode):
            raise OSError(errno.ENOTSOCK, "An operation was attempted on something that is not a socket")


def select_of_windows(read: Any, write: Any, other: Any, timeout: float | None = None) -> Any:
    """select() for sockets alone."""
    read, write, other = list(read), list(write), list(other)
    if not read + write + other:
        raise OSError(errno.EINVAL, "An invalid argument was supplied")
    if max(map(len, (read, write, other))) > MOST_SELECTED:
        raise ValueError("too many file descriptors in select()")
    only_sockets(read + write + other)
    return select.select(read, write, other, timeout)


def no_links(*_: Any, **__: Any) -> None:
    """What Windows says to most users."""
    raise OSError(errno.EPERM, NO_SUCH_PRIVILEGE)


def terminate(pid: int, _: int) -> None:
    """os.kill() of Windows: whatever the signal, it is TerminateProcess."""
    os.kill(pid, signal.SIGKILL)


def differences(platform: str, python: str) -> dict[str, dict[str, Any]]:
    """Return what exists on both systems and differs, by module and name."""
    if platform == MACOS:
        return {
            "sys": {"platform": MACOS, "executable": python},
            "selectors": {"DefaultSelector": selectors.PollSelector},
        }
    return {
        "sys": {"platform": WINDOWS, "executable": python},
        "os": {"name": "nt", "symlink": no_links, "kill": terminate},
        "select": {"select": select_of_windows},
        "signal": {"SIGBREAK": signal.SIGUSR2},
        "selectors": {"DefaultSelector": SelectOfWindows, "SelectSelector": SelectOfWindows},
    }


def is_ours(file: str | None) -> bool:
    """Whether a module is the kit's, or a student's."""
    return bool(file) and any(f"/{folder}/" in str(file) for folder in OURS) and "/site-packages/" not in str(file)


def owner(frame: FrameType | None) -> str | None:
    """Return the file of the innermost code that is the kit's or a package's, and not the standard library's."""
    here, standard = sys._getframe().f_code.co_filename, os.path.dirname(os.__file__)
    while frame:
        file = frame.f_code.co_filename
        if file != here and ("/site-packages/" in file or not file.startswith(("<", standard))):
            return file
        frame = frame.f_back
    return None


def watch(platform: str) -> None:
    """Let no file of /proc, and on macOS no second loopback address, be there for the kit."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        looks = event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith("/proc/")
        if looks and is_ours(owner(sys._getframe())):
            raise FileNotFoundError(errno.ENOENT, "there is no /proc on this system", str(arguments[0]))
        if event == "socket.bind" and platform == MACOS:
            host = str(arguments[1][0])
            if host.startswith("127.") and host != "127.0.0.1":
                raise OSError(errno.EADDRNOTAVAIL, "Can't assign requested address")

    sys.addaudithook(refuse)


def go(platform: str, python: str) -> None:
    """Be on another system from now on."""
    differs = differences(platform, python)
    stand_ins = {
        name: StandIn(importlib.import_module(name), missing(name, platform), differs.get(name, {})) for name in MODULES
    }
    real = builtins.__import__

    def import_as_there(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if level == 0 and is_ours((globals or {}).get("__file__")):
            if name in ABSENT[platform]:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in stand_ins:
                return stand_ins[name]
        return real(name, globals, locals, fromlist, level)

    builtins.__import__ = import_as_there
    if platform == WINDOWS:
        import asyncio
        import pathlib

        def not_implemented(*_: Any) -> None:
            raise NotImplementedError

        pathlib.Path.symlink_to = no_links  # type: ignore[method-assign, assignment]
        asyncio.SelectorEventLoop.add_signal_handler = not_implemented  # type: ignore[method-assign]
    watch(platform)


def python_of(platform: str, folder: Path) -> Path:
    """Write a program into a folder that is the `python` of another system; return it."""
    command = shlex.join([sys.executable, __file__, platform])
    script = folder / f"python-{platform}"
    lines = ["#!/bin/sh", f'exec env PYTHON_ELSEWHERE="$0" PYTHONUTF8=0 {SETTINGS[platform]} {command} "$@"', ""]
    script.write_text("\n".join(lines), encoding="utf-8")
    script.chmod(0o755)
    return script


SETTINGS = {  # files and streams have the encoding of the country on Windows; who names theirs does not notice
    WINDOWS: "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONIOENCODING=${PYTHONIOENCODING-cp1252}",
    MACOS: "LC_ALL=C.UTF-8",
}


def main() -> None:
    """Run a program there."""
    _, platform, *words = sys.argv
    go(platform, os.environ["PYTHON_ELSEWHERE"])
    while words and words[0].startswith("-") and words[0] not in ("-c", "-m"):
        del words[: 2 if words[0] == "-X" else 1]
    sys.path[0] = os.getcwd()
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__", "__file__": "/harness/-c"})
    else:
        sys.argv = words
        sys.path[0] = os.path.dirname(os.path.abspath(words[0]))
        runpy.run_path(os.path.abspath(words[0]), run_name="__main__")


if __name__ == "__main__":
    main()
