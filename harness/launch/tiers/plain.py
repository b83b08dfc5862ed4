"""The tier plain: a process in a session of its own, with all its descendants. For one's own programs."""

import os
import subprocess
from pathlib import Path

from harness.launch import processes
from harness.launch.command import LaunchError
from harness.launch.limits import Limits
from harness.launch.private import PrivateListener, in_private_network
from harness.launch.streams import Streams
from harness.launch.tiers.place import Place, open_places

MARK = "SOCKET_LAB_KIT_PROGRAM"


class Plain(Place):
    """A session of the system's, in our network or in one of its own.

    At its end every process is gone, those included that forked twice and left the session (Linux).
    """

    def __init__(self, limits: Limits, private: bool | PrivateListener = False) -> None:
        """With `private`, programs run in a network of their own, which only a PrivateListener lets us into."""
        super().__init__(limits)
        self._private = private
        self.mark = f"{MARK}={os.urandom(8).hex()}"
        self.process: subprocess.Popen[bytes]

    def begin(self, words: list[str], folder: Path, streams: Streams, port: int) -> subprocess.Popen[bytes]:
        """Start a program in a folder. Raises LaunchError."""
        inside = self._private if isinstance(self._private, PrivateListener) else None
        if self._private:
            words = in_private_network(words, inside)
        try:
            self.process = subprocess.Popen(
                streams.before(words),
                stdin=streams.stdin,
                stdout=streams.stdout,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=self._environment() | streams.environment | dict([self.mark.split("=")]),
                start_new_session=True,
                pass_fds=[inside.descriptor] if inside else [],
            )
        except OSError as error:
            place = "" if folder.is_dir() else f" in {str(folder)!r}"
            raise LaunchError(f"cannot run {words[0]!r}{place}: {error.strerror or error}") from None
        open_places[self.process.pid] = self
        return self.process

    @property
    def child(self) -> int:
        """The first process of the program itself."""
        return self.process.pid

    def members(self) -> list[int]:
        """Return the processes of the program, those left by parents that have ended included."""
        found = processes.tree(self.process.pid) if self.process.poll() is None else []
        for orphan in processes.adopted():
            if orphan not in open_places and self._owns(orphan) and not processes.reap(orphan):
                found += processes.tree(orphan)
        return list(dict.fromkeys(found))

    def _owns(self, orphan: int) -> bool:
        if processes.session_of(orphan) == self.process.pid or processes.carries(orphan, self.mark):
            return True
        # It left the session and cleared its environment: with one program running there is no doubt whose it is.
        return set(open_places) == {self.process.pid}

    def close(self) -> None:
        """End all that is here; when this returns, nothing of it is left."""
        if self not in open_places.values():  # nothing was begun, or all has ended
            return
        try:
            self.end()
        finally:
            open_places.pop(self.process.pid, None)
