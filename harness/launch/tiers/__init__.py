"""The tiers of containment: how well a program under test is kept from everything that is not its own."""

from functools import cache
from pathlib import Path

from harness.launch.command import Command, LaunchError
from harness.launch.limits import UNLIMITED, Limits
from harness.launch.processes import LINUX
from harness.launch.streams import Stdin, Streams
from harness.launch.tiers.place import Place
from harness.launch.tiers.plain import Plain

BOX, RULESET, PLAIN = "box", "ruleset", "plain"
TIERS = {  # the best one first, each with what it is
    BOX: "bubblewrap: a read-only system, no network, nobody else's processes and files; for anybody's programs",
    RULESET: "Landlock and seccomp: nobody else's files and signals, one port to connect to; for anybody's programs",
    PLAIN: "a process group, all descendants ended; for one's own programs",
}
INSTALL = "install bubblewrap (Debian, Ubuntu: `apt-get install bubblewrap`; Fedora: `dnf install bubblewrap`)"

ALLOW = "a container has to allow its programs namespaces, and to mount /proc"


def open_place(tier: str, command: Command, limits: Limits) -> Place:
    """Return a place for a command in a tier; raises LaunchError where that cannot be had."""
    if tier == BOX:
        from harness.launch.tiers.box import Box

        return Box(command, limits)
    if tier == RULESET:
        from harness.launch.tiers.ruleset import Ruleset

        return Ruleset(command, limits)
    return Plain(limits)


@cache
def hindrance(tier: str) -> str:
    """Return why this machine does not offer a tier, and what to do about it; "" where it does. Found out by trying."""
    if tier == PLAIN:
        return ""
    if not LINUX:
        return "it needs Linux: WSL2, a virtual machine or a container"
    command = Command(("/bin/true",), Path("/usr"))
    try:
        with open_place(tier, command, UNLIMITED) as place:
            process = place.begin(list(command.words), command.folder, Streams(Stdin.NOTHING), 1)
            place.new_socket().close()
            if status := process.wait():
                return f"a program that does nothing ends with status {status} in it"
    except LaunchError as error:
        if tier != BOX:
            return str(error)
        return f"{error}: {INSTALL if 'not installed' in str(error) else ALLOW}"
    return ""


def best() -> str:
    """Return the best tier that this machine offers."""
    return next(tier for tier in TIERS if not hindrance(tier))
