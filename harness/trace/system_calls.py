"""Programs in any other language, on Linux: strace(1) notes the system calls of all their threads."""

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.launch import Command
from harness.trace.calls import END, THREAD, Call

NAMES = {  # of the calls as people know them; a descriptor may be read like a file
    "accept4": "accept",
    "recvfrom": "recv",
    "sendto": "send",
    "read": "recv",
    "readv": "recv",
    "write": "send",
    "writev": "send",
    "pselect6": "select",
    "ppoll": "poll",
    "epoll_wait": "epoll",
    "epoll_pwait": "epoll",
    "epoll_pwait2": "epoll",
    "nanosleep": "sleep",
    "clock_nanosleep": "sleep",
    "futex": "wait",
}
OTHERS = ("accept", "recvmsg", "sendmsg", "select", "poll", "connect", "shutdown", "close")
BIRTHS = ("clone", "clone3", "fork", "vfork")
OF_SOCKETS = {"recv", "send", "recvmsg", "sendmsg", "shutdown", "close", "connect"}  # noted of TCP sockets alone
OPTIONS = "-I 2 -ff -ttt -T -yy -s 24 -e signal=none"
LINE = re.compile(r"(?P<at>[\d.]+) (?P<name>\w+)\((?P<rest>.*)")
RESULT = re.compile(r".*\) += (?P<result>.*?)(?: <(?P<took>[\d.]+)>)?$")
OTHER_END = re.compile(r"<TCP(?:v6)?:\[\S*?->\S*?:(\d+)\]>")
SOCKET = re.compile(r"\d+<TCP")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def under_strace(command: Command, folder: Path) -> Command | None:
    """Return the command that runs a program under strace, which writes into a folder; None where there is none."""
    if not (strace := shutil.which("strace")):
        return None
    calls = ",".join([*NAMES, *OTHERS, *BIRTHS])
    words = (strace, *OPTIONS.split(), "-e", f"trace={calls}", "-o", str(folder / "of"), "--", *command.words)
    return Command(words, command.folder)


def calls_in(folder: Path, names: dict[int, str]) -> list[Call]:
    """Return the calls that strace has written into a folder, by their beginning; `names` tells whose the ports are."""
    files = sorted(folder.glob("of.*"), key=lambda file: int(file.suffix[1:]))
    lines = {int(file.suffix[1:]): file.read_text(errors="replace").splitlines() for file in files}
    threads = _threads(lines)
    clock = time.time() - time.monotonic()
    found = [call for tid, text in lines.items() for call in _calls(threads[tid], text, clock, names)]
    return sorted(found, key=lambda call: call.began)


def _threads(lines: dict[int, list[str]]) -> dict[int, str]:
    """Return `process.number` of each thread, by what those say that made them."""
    places = {tid: (tid, 0) for tid in lines}
    for tid in lines:  # parents have smaller numbers than their children, but where these begin anew
        born = 0
        for line in lines[tid]:
            match, result = LINE.match(line), RESULT.match(line)
            if match and result and match["name"] in BIRTHS and result["result"].strip().isdigit():
                born += 1
                child = int(result["result"])
                places[child] = (places[tid][0], born) if "CLONE_THREAD" in line else (child, 0)
    return {tid: f"{process}.{number}" for tid, (process, number) in places.items()}


def _calls(thread: str, lines: Sequence[str], clock: float, names: dict[int, str]) -> Iterator[Call]:
    yielded = 0.0
    for line in lines:
        if line.partition(" ")[2].startswith("+++"):
            yield Call(thread, END, float(line.split()[0]) - clock, None)
        match = LINE.match(line)
        if not match or match["name"] in BIRTHS:
            continue
        name = NAMES.get(match["name"], match["name"])
        if name in OF_SOCKETS and not SOCKET.match(match["rest"]):
            continue
        began = float(match["at"]) - clock
        if not yielded:
            yield Call(thread, THREAD, began, None)
        yielded = began
        result = RESULT.match(match["rest"])
        ended = began + float(result["took"]) if result and result["took"] else None
        yield Call(thread, name, began, ended, _who(name, match["rest"], names), *_what(name, match["rest"], result))


def _who(name: str, rest: str, names: dict[int, str]) -> tuple[str, ...]:
    """Return whom a call is about: of a poll, those who are ready."""
    where = rest.rpartition(" = ")[2] if name == "poll" else rest
    return tuple(names.get(int(port), f"port {port}") for port in dict.fromkeys(OTHER_END.findall(where)))


def _what(name: str, rest: str, result: re.Match[str] | None) -> tuple[int, bytes, str]:
    """Return how many bytes a call was about, the first of them, and what else it returned."""
    returned = result["result"].split() if result else []
    if not returned:
        return 0, b"", ""
    if returned[0] == "-1":
        return 0, b"", returned[1]
    if name in ("recv", "send", "recvmsg", "sendmsg") and returned[0].isdigit() and (text := TEXT.search(rest)):
        data = text[1].encode("latin-1", "replace").decode("unicode_escape").encode("latin-1", "replace")
        return int(returned[0]), data[: int(returned[0])], ""
    return 0, b"", ""
