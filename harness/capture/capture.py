"""A server is started, a scene is played, and every packet between them is written into a file."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import BinaryIO

from harness.capture.pcapng import ETHERNET, RAW_IP, Writer
from harness.capture.segments import Conversation, opener, with_checksums
from harness.capture.tap import can_tap, tap
from harness.launch import Command, Program
from harness.launch.limits import LIMITS, Limits
from harness.launch.program import HOST
from harness.launch.tiers import PLAIN
from harness.launch.yardstick import slowness
from harness.trace.scenes import SCENES, Stage
from harness.trace.trace import SETTLING, TraceError, wait_listening
from harness.wire import Patience, Transcript
from harness.wire.link import Address, Connection
from harness.wire.proxy import Proxy, Visit
from harness.wire.relay import Direction, Passage

APPLICATION = "socket lab kit"
FRAME = 14  # bytes of the header of an Ethernet frame


class How(StrEnum):
    """Where the packets come from."""

    NETWORK = "network"
    PROXY = "proxy"


COMMENTS = {
    How.NETWORK: "These packets were seen on the loopback of a network of its own, in which there were this server and "
    "its clients alone. The kernel leaves the TCP checksums out on a loopback; they were filled in.",
    How.PROXY: "These packets were made by the kit from what passed a proxy between the clients and the server. The "
    "bytes, their order, when they passed, and who ended a connection are what was seen; the headers of IP and TCP, "
    "the handshakes, the sizes of the segments and the acknowledgements are made up, so that they fit.",
}


@dataclass(frozen=True)
class Captured:
    """What was written: how it was seen, and how many packets of how many clients."""

    how: How
    packets: int
    dropped: int
    clients: int


def capture(
    command: Command, kind: str, file: BinaryIO, how: How | None = None, tier: str = PLAIN, limits: Limits = LIMITS
) -> Captured:
    """Let the clients of the scene of a `kind` (echo, lines, chat) talk to a server; write what passes as pcapng.

    Without `how`, it is the best one that can be had. Raises TraceError, NotServing, or LaunchError.
    """
    if how is not How.PROXY and tier == PLAIN and can_tap():
        return _in_a_network(command, kind, file, limits)
    if how is How.NETWORK:
        raise TraceError("a network of its own for it cannot be had here (it needs Linux, and the tier plain)")
    return _through_a_proxy(command, kind, file, tier, limits)


def _in_a_network(command: Command, kind: str, file: BinaryIO, limits: Limits) -> Captured:
    with tap(len(SCENES[kind].roles)) as network:
        with Program(network.around(command), limits=limits) as program:
            if not network.open():
                raise TraceError(f"no packets can be seen in a network of its own: {program.describe_end()}")
            wait_listening(program, Patience(slowness))
            names = _play(kind, _Reached(program, program.address, network.new_socket))
            network.finish()
        writer = Writer(file, APPLICATION, "lo", ETHERNET, COMMENTS[How.NETWORK])
        for moment, frame in network.packets:
            packet = with_checksums(frame[FRAME:])
            writer.packet(moment, frame[:FRAME] + packet, names.get(opener(packet), ""))
        writer.statistics(time.time_ns(), writer.packets + network.dropped, network.dropped)
        return Captured(How.NETWORK, writer.packets, network.dropped, len(names))


def _through_a_proxy(command: Command, kind: str, file: BinaryIO, tier: str, limits: Limits) -> Captured:
    passed: list[_Passed] = []
    with Program(command, tier=tier, limits=limits) as program:
        wait_listening(program, Patience(slowness))
        visit = partial(_Seen, program.address, passed)
        with Proxy((HOST, 0), program.address, visit=visit, new_socket=program.new_socket) as proxy:
            names = _play(kind, _Reached(program, proxy.address, socket.socket))
    writer = Writer(file, APPLICATION, "proxy", RAW_IP, COMMENTS[How.PROXY])
    for one in passed:
        for packet in one.packets():
            writer.packet(one.moment, packet, names.get(opener(packet), ""))
    return Captured(How.PROXY, writer.packets, 0, len(names))


def _play(kind: str, server: "_Reached") -> dict[int, str]:
    """Play the scene, and return whose ports there were."""
    stage = Stage(server, Transcript(), Patience(slowness))
    SCENES[kind].play(stage)
    server.program.wait_settled(SETTLING)
    return stage.names


@dataclass(frozen=True)
class _Reached:
    """A server as clients reach it: elsewhere than where it listens."""

    program: Program
    address: Address
    new_socket: Callable[[], socket.socket]

    def connection(self, client: Address) -> Connection | None:
        """Return nothing: its side of the connection is not the other end of this one."""

    def is_running(self) -> bool:
        """Whether it is still there."""
        return self.program.is_running()

    def describe_end(self) -> str:
        """Say whether and how it has ended."""
        return self.program.describe_end()


@dataclass(frozen=True)
class _Passed:
    """Something that passed the proxy, or, with no passage, the beginning of a connection."""

    moment: int  # nanoseconds since 1970
    conversation: Conversation
    direction: Direction = Direction.THERE
    passage: Passage | None = None
    data: bytes = b""

    def packets(self) -> Iterator[bytes]:
        """Yield the packets that carry it."""
        if self.passage is None:
            return self.conversation.handshake()
        return self.conversation.passed(self.direction, self.passage, self.data)


class _Seen(Visit):
    """Writes down all that passes; packets are made of it later, when nobody waits."""

    def __init__(self, server: Address, passed: list[_Passed], number: int, client: Address) -> None:
        super().__init__(number, client)
        self._conversation, self._passed = Conversation(client, server), passed

    def opened(self) -> None:
        """Write down that it begins."""
        self._passed.append(_Passed(time.time_ns(), self._conversation))

    def seen(self, direction: Direction, passage: Passage, data: bytes) -> None:
        """Write down what has passed."""
        self._passed.append(_Passed(time.time_ns(), self._conversation, direction, passage, data))
