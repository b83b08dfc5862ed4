"""The tiers of containment: how well a program under test is kept from everything that is not its own."""

from functools import cache
from pathlib import Path

from harness.launch.box import Box
from harness.launch.command import Command, LaunchError
from harness.launch.processes import LINUX

BOX, PLAIN = "box", "plain"
TIERS = {  # the best one first, each with what it is
    BOX: "bubblewrap: a read-only system, no network, nobody else's processes and files; for anybody's programs",
    PLAIN: "a process group, all descendants ended; for one's own programs",
}
INSTALL = "install bubblewrap (Debian, Ubuntu: `apt-get install bubblewrap`; Fedora: `dnf install bubblewrap`)"


@cache
def hindrance(tier: str) -> str:
    """Return why this machine does not offer a tier, and what to do about it; "" where it does. Found out by trying."""
    if tier == PLAIN:
        return ""
    if not LINUX:
        return "it needs Linux: WSL2, a virtual machine or a container"
    try:
        box = Box(Command(("/bin/sh",), Path("/usr")), {})
    except LaunchError as error:
        return f"{error}: {INSTALL}"
    try:
        box.wait_ready()
        box.diag()
    except LaunchError as error:
        return f"{error} (a container must be allowed to make namespaces and to mount /proc)"
    finally:
        box.close()
    return ""
