"""Files of packets as Wireshark reads them: pcapng (draft-ietf-opsawg-pcapng), little-endian, one interface."""

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

ETHERNET, RAW_IP = 1, 101  # LINKTYPE_ETHERNET and LINKTYPE_RAW of the registry at tcpdump.org
SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6  # types of blocks
BYTE_ORDER = 0x1A2B3C4D
UNKNOWN_LENGTH = -1
COMMENT = 1  # an option of every block
USER_APPLICATION = 4  # of a section
NAME, RESOLUTION = 2, 9  # of an interface
RECEIVED, DROPPED = 4, 5  # of statistics
NANOSECONDS = b"\x09"  # units of 10 to the power of minus that many seconds
LONGEST = 65535 + 14  # bytes of a packet

Option = tuple[int, bytes]


class Writer:
    """Writes packets into a file, in the order in which they are given."""

    def __init__(self, file: BinaryIO, application: str, interface: str, link: int, comment: str) -> None:
        """Begin a file; the `comment` about all of it stands in its section header."""
        self._file = file
        section = struct.pack("<IHHq", BYTE_ORDER, 1, 0, UNKNOWN_LENGTH)
        self._write(SECTION, section, [(COMMENT, comment.encode()), (USER_APPLICATION, application.encode())])
        options = [(NAME, interface.encode()), (RESOLUTION, NANOSECONDS)]
        self._write(INTERFACE, struct.pack("<HHI", link, 0, LONGEST), options)
        self.packets = 0

    def packet(self, nanoseconds: int, data: bytes, comment: str = "") -> None:
        """Write one packet, seen so many nanoseconds after the beginning of 1970 (UTC)."""
        fields = struct.pack("<IIIII", 0, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, len(data), len(data))
        self._write(PACKET, fields + _padded(data), [(COMMENT, comment.encode())] if comment else [])
        self.packets += 1

    def statistics(self, nanoseconds: int, received: int, dropped: int) -> None:
        """Write how many packets came, and how many of them could not be taken."""
        fields = struct.pack("<III", 0, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF)
        options = [(RECEIVED, struct.pack("<Q", received)), (DROPPED, struct.pack("<Q", dropped))]
        self._write(STATISTICS, fields, options)

    def _write(self, kind: int, body: bytes, options: Sequence[Option]) -> None:
        body += b"".join(_encoded(options))
        length = struct.pack("<I", 12 + len(body))
        self._file.write(struct.pack("<I", kind) + length + body + length)


def _encoded(options: Sequence[Option]) -> Iterator[bytes]:
    for code, value in options:
        yield struct.pack("<HH", code, len(value)) + _padded(value)
    if options:
        yield bytes(4)  # the end of the options


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
