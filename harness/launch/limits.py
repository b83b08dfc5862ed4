"""What a program under test may use: each limit has its default, and its own words for who goes beyond it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

MIB = 1 << 20


class LimitsError(ValueError):
    """Limits that cannot be meant; the text says which, and what they should be."""


@dataclass(frozen=True)
class Limits:
    """The most that one program may use, all of its processes together; 0 is no limit.

    Some are kept by the kernel as well, where the tier lets it (getrlimit(2), tmpfs(5)): a little above, so that
    who reaches a limit is ended with its name instead of being refused something in silence.
    """

    wall: int = 900  # seconds that it runs
    cpu: int = 300  # seconds of processor time
    memory: int = 256  # MiB, shared pages counted in proportion (proc_pid_smaps(5), Pss)
    addresses: int = 4096  # MiB of addresses of each process; with 1024, a server with 200 threads could not start them
    processes: int = 512  # and threads; an honest server with a thread for each of its clients has 200
    descriptors: int = 20_000  # that are open, of all its processes
    file: int = 32  # MiB of one file
    disk: int = 64  # MiB of all its files
    inodes: int = 5_000  # files and folders
    output: int = 32  # MiB that it prints

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if type(value) is not int or value < 0:
                raise LimitsError(f"the limit {name!r} is a whole number from 0 on (0: no limit), not {value!r}")

    def as_dict(self) -> dict[str, int]:
        """Return all limits by their names, as the manifest and results.json have them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def with_values(self, values: Mapping[str, int]) -> "Limits":
        """Return these limits with others in place of some; raises LimitsError for a name that there is not."""
        if unknown := set(values) - set(self.as_dict()):
            raise LimitsError(f"there is no limit {min(unknown)!r}; the limits are {', '.join(self.as_dict())}")
        return Limits(**(self.as_dict() | dict(values)))

    def words(self, name: str) -> str:
        """Say what somebody has used who went beyond a limit."""
        return _WORDS[name].format(f"{getattr(self, name):,}")


LIMITS = Limits()
UNLIMITED = Limits(**{one.name: 0 for one in fields(Limits)})
_WORDS = {
    "wall": "it ran for more than {} s",
    "cpu": "more than {} s of processor time",
    "addresses": "more than {} MiB of addresses",
    "memory": "more than {} MiB of memory",
    "processes": "more than {} processes and threads",
    "descriptors": "more than {} open descriptors",
    "file": "a file of more than {} MiB",
    "disk": "more than {} MiB in files",
    "inodes": "more than {} files",
    "output": "it printed more than {} MiB",
}
