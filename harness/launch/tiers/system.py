"""What a program that nobody trusts sees of the machine: the system's folders, its interpreter's, and its own."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.launch.command import Command, LaunchError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
SETTINGS = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "nsswitch.conf", "hosts", "ssl")


def folders_of(command: Command) -> Iterator[Path]:
    """Yield the folders of the files that a command names; where it names none, the one in which it runs."""
    files = [file for word in command.words if (file := command.folder / word).is_file()]
    found = {file.parent.absolute() for file in files if not _is_of_the_system(file) and file.parent.name != "bin"}
    yield from sorted(found or {command.folder.absolute()})


def folders_of_programs(*programs: str) -> Iterator[Path]:
    """Yield the folders that programs need to run at all: a `bin` comes with all that lies beside it."""
    found = [Path(file) for program in programs if (file := shutil.which(program))]
    for place in dict.fromkeys([*found, *(place.resolve() for place in found), Path(sys.base_prefix, "bin", "python")]):
        if not _is_of_the_system(place):
            prefix = place.parent.parent
            whole = place.parent.name == "bin" and prefix not in (Path("/"), Path.home())
            yield prefix if whole else place.parent


def refuse_closed_folders(folders: list[Path], uid: int, whole_way: bool = False) -> None:
    """Raise LaunchError for a folder that cannot be shown to a program, or not to another user.

    With `whole_way` the folders that lead there have to be open as well: nothing is mounted for the program.
    """
    for folder in folders:
        if folder in (Path("/"), Path.home()):
            raise LaunchError(f"a program could read all of {folder}: put it into a folder of its own")
        if uid and folder.stat().st_mode & 0o5 != 0o5:
            raise LaunchError(
                f"{folder} is closed to all but its owner, and programs do not run as root: "
                f"`chmod -R go+rX '{folder}'` opens it"
            )
        closed = [place for place in folder.parents if whole_way and uid and not place.stat().st_mode & 0o1]
        if closed:
            raise LaunchError(
                f"{closed[-1]} is closed to all but its owner, and programs do not run as root: put the program "
                f"elsewhere, below /srv or /var/tmp say (in the tier box it may stay there)"
            )


def can_be_entered(file: Path) -> bool:
    """Whether everybody may go through all folders that lead to a file, by all of its links, and execute it."""
    places = [file.absolute(), file.resolve()]
    return all(
        place.stat().st_mode & 0o5 == 0o5 and all(folder.stat().st_mode & 0o1 for folder in place.parents)
        for place in places
    )


def _is_of_the_system(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in SYSTEM)
