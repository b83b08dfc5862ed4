"""What a traced program did: its calls."""

from dataclasses import dataclass
from typing import Any

THREAD, END = "thread", "end"  # no calls: a thread begins (its name is the note), a thread ends


@dataclass(frozen=True)
class Call:
    """One call of a thread that may wait."""

    thread: str  # process.number
    name: str
    began: float  # seconds of time.monotonic()
    ended: float | None  # None: it had not returned when the program was ended
    who: tuple[str, ...] = ()  # the clients that it is about; of a lock, the thread that held it
    size: int = 0  # bytes
    data: bytes = b""  # the first of them
    note: str = ""
    waits: bool = True  # whether it may: a call on a socket that does not block cannot

    def as_row(self, beginning: float) -> dict[str, Any]:
        """Return it as it stands in a report, with seconds after the beginning; bytes as Python writes them."""
        ended = None if self.ended is None else round(self.ended - beginning, 6)
        return {
            "thread": self.thread,
            "name": self.name,
            "began": round(self.began - beginning, 6),
            "ended": ended,
            "who": list(self.who),
            "bytes": self.size,
            "data": repr(self.data)[1:] + "..." * (self.size > len(self.data)),
            "note": self.note,
            "waits": self.waits,
        }
