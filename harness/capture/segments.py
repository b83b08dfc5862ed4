"""TCP segments in IPv4 packets (RFC 9293, RFC 791), made from what was seen of a connection, and their checksums."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.wire.link import Address
from harness.wire.relay import Direction, Passage

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
TCP = 6
LARGEST = 1460  # bytes in a segment, as on an Ethernet
WINDOW = 65535
DO_NOT_FRAGMENT = 0x4000
TIME_TO_LIVE = 64
FIRST = {Direction.THERE: 1_000_000_000, Direction.BACK: 2_000_000_000}  # sequence numbers
IP_HEADER, TCP_HEADER = 20, 20  # bytes, without options
CHECKSUM_IN_TCP, CHECKSUM_IN_IP = 16, 10  # where these stand in their headers


@dataclass
class Conversation:
    """The packets of one connection, numbered and acknowledged as if each had arrived at once."""

    client: Address
    server: Address
    _next: dict[Direction, int] = field(default_factory=lambda: dict(FIRST))
    _packets: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))

    def handshake(self) -> Iterator[bytes]:
        """Yield how it begins: SYN, SYN and ACK, ACK."""
        largest = struct.pack(">BBH", 2, 4, LARGEST)
        yield self._segment(Direction.THERE, SYN, options=largest, acknowledges=False)
        self._next[Direction.THERE] += 1
        yield self._segment(Direction.BACK, SYN | ACK, options=largest)
        self._next[Direction.BACK] += 1
        yield self._segment(Direction.THERE, ACK)

    def passed(self, way: Direction, passage: Passage, data: bytes) -> Iterator[bytes]:
        """Yield what carries bytes, the end of a stream or a reset."""
        other = Direction.BACK if way is Direction.THERE else Direction.THERE
        if passage is Passage.RESET:
            yield self._segment(way, RST | ACK)
            return
        if passage is Passage.END:
            yield self._segment(way, FIN | ACK)
            self._next[way] += 1
        for start in range(0, len(data), LARGEST):
            piece = data[start : start + LARGEST]
            yield self._segment(way, ACK | PSH * (start + LARGEST >= len(data)), piece)
            self._next[way] += len(piece)
        yield self._segment(other, ACK)

    def _segment(
        self, way: Direction, flags: int, data: bytes = b"", options: bytes = b"", acknowledges: bool = True
    ) -> bytes:
        there = way is Direction.THERE
        source, target = (self.client, self.server) if there else (self.server, self.client)
        acknowledged = self._next[Direction.BACK if there else Direction.THERE] if acknowledges else 0
        header = struct.pack(
            ">HHIIBBHHH",
            source[1],
            target[1],
            self._next[way] & 0xFFFFFFFF,
            acknowledged & 0xFFFFFFFF,
            (TCP_HEADER + len(options)) // 4 << 4,
            flags,
            WINDOW,
            0,
            0,
        )
        self._packets[way] += 1
        length = IP_HEADER + TCP_HEADER + len(options) + len(data)
        identification = self._packets[way] & 0xFFFF
        around = struct.pack(
            ">BBHHHBBH4s4s",
            0x45,
            0,
            length,
            identification,
            DO_NOT_FRAGMENT,
            TIME_TO_LIVE,
            TCP,
            0,
            socket.inet_aton(source[0]),
            socket.inet_aton(target[0]),
        )
        return with_checksums(around + header + options + data)


def opener(packet: bytes) -> int:
    """Return the port from which the first packet of a connection came, 0 for any other packet."""
    if not _is_tcp(packet):
        return 0
    start = (packet[0] & 0x0F) * 4
    port = int.from_bytes(packet[start : start + 2], "big")
    return port if packet[start + 13] & (SYN | ACK) == SYN else 0


def _is_tcp(packet: bytes) -> bool:
    return len(packet) >= IP_HEADER + TCP_HEADER and packet[0] >> 4 == 4 and packet[9] == TCP


def with_checksums(packet: bytes) -> bytes:
    """Return an IPv4 packet with the checksums of its header and of the TCP segment in it; others stay as they are."""
    if not _is_tcp(packet):
        return packet
    size = (packet[0] & 0x0F) * 4
    (whole,) = struct.unpack_from(">H", packet, 2)
    header, segment = bytearray(packet[:size]), bytearray(packet[size:whole])
    struct.pack_into(">H", header, CHECKSUM_IN_IP, 0)
    struct.pack_into(">H", header, CHECKSUM_IN_IP, checksum(bytes(header)))
    pseudo = bytes(header[12:20]) + struct.pack(">BBH", 0, TCP, len(segment))
    struct.pack_into(">H", segment, CHECKSUM_IN_TCP, 0)
    struct.pack_into(">H", segment, CHECKSUM_IN_TCP, checksum(pseudo + segment))
    return bytes(header + segment) + packet[whole:]


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071): the complement of the sum of all 16-bit words, carries added."""
    total: int = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
