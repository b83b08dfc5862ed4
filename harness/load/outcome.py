"""What a load has measured, and what keeps it from going on."""

from dataclasses import dataclass, field

from harness.launch.network import OURS, Network
from harness.load.histogram import Histogram

SECOND = 1_000_000_000  # nanoseconds
TENTH = SECOND // 10  # of the time line: one histogram for each of these


class LoadFault(Exception):
    """A server under load did not do what it must; the text names the client, what was due, and the bytes."""


class ServerFull(Exception):
    """A server does not take so many clients, as it may (PROTOCOL.md, C6)."""

    def __init__(self, clients: int) -> None:
        super().__init__(clients)
        self.clients = clients

    def __str__(self) -> str:
        return f"it takes {self.clients:,} clients, and no more"


class CannotLoad(Exception):
    """This machine cannot make such a load; the text says what is missing, and what to do."""


@dataclass(frozen=True)
class Share:
    """Which part of a load one generator makes: the clients `number`, `number + of`, `number + 2 * of` and so on."""

    number: int = 0
    of: int = 1
    network: Network = OURS  # in which the server is


WHOLE = Share()


@dataclass(frozen=True)
class Span:
    """One request of one client: seconds since the beginning of the load."""

    client: int
    sent: float
    replied: float
    first: bool  # of its session


@dataclass
class Outcome:
    """What was measured; all times are whole nanoseconds unless they say seconds."""

    tenths: list[Histogram] = field(default_factory=list)  # latencies, by the tenth of a second of the answer
    first_replies: Histogram = field(default_factory=Histogram)  # from connecting to the first answer
    lateness: Histogram = field(default_factory=Histogram)  # of the load itself: from when a send was due to the send
    lag: Histogram = field(default_factory=Histogram)  # of the load itself: for how long it handled what came at once
    acts: dict[str, Histogram] = field(default_factory=dict)  # latencies by what was done, where that differs
    sessions: int = 0
    notices: int = 0  # of a chat: how often a member heard that another one joined
    measured: tuple[int, int] = (0, 0)  # from when to when, by perf_counter_ns() of the generator
    ready: float = 0.0  # seconds until all clients that are there from the beginning were there
    last_due: float = 0.0  # seconds from the beginning of what was measured to when the last of it was due
    busy: float = 0.0  # the part of the time for which the load used a processor
    spans: list[Span] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """For how long was measured, until the last answer was there."""
        return max(1, self.measured[1] - self.measured[0]) / SECOND

    @property
    def latencies(self) -> Histogram:
        """All latencies: of each answer, a reply or a delivery."""
        whole = Histogram()
        for tenth in self.tenths:
            whole.add(tenth)
        return whole

    @property
    def answers(self) -> int:
        """How many answers were measured."""
        return sum(tenth.count for tenth in self.tenths)

    def add(self, other: "Outcome") -> None:
        """Add what another generator has measured at the same time: nothing is averaged."""
        self.tenths += [Histogram() for _ in range(len(other.tenths) - len(self.tenths))]
        for mine, its in zip(self.tenths, other.tenths, strict=False):
            mine.add(its)
        self.first_replies.add(other.first_replies)
        self.lateness.add(other.lateness)
        self.lag.add(other.lag)
        for act, latencies in other.acts.items():
            self.acts.setdefault(act, Histogram()).add(latencies)
        self.sessions += other.sessions
        self.notices += other.notices
        if other.seconds > self.seconds:
            self.measured = other.measured
        self.ready = max(self.ready, other.ready)
        self.last_due = max(self.last_due, other.last_due)
        self.busy = max(self.busy, other.busy)
        self.spans += other.spans
