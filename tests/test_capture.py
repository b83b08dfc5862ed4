"""`lab capture`: files of packets, read here by a reader of their own, made from the specification of pcapng."""

import io
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import PATIENCE, SOLUTIONS, lab

from harness.capture import How, capture
from harness.capture.pcapng import RAW_IP, Writer
from harness.capture.segments import Conversation, with_checksums
from harness.capture.tap import can_tap
from harness.launch.command import python_program
from harness.trace import TraceError
from harness.wire.relay import Direction, Passage

FIN, SYN, RST, ACK = 1, 2, 4, 16
COMMENT = 1
needs_a_network = pytest.mark.skipif(not can_tap(), reason="needs a network of its own (Linux)")
HOWS = [How.PROXY, pytest.param(How.NETWORK, marks=needs_a_network)]


@dataclass
class Packet:
    nanoseconds: int
    data: bytes
    comment: str


@dataclass
class Contents:
    """A file of packets: what its section header says, the type of its link, its packets, and how many were dropped."""

    comment: str
    link: int
    packets: list[Packet]
    dropped: int


def options_of(body: bytes) -> dict[int, bytes]:
    found = {}
    while body:
        code, length = struct.unpack_from("<HH", body)
        if code == 0:
            assert (length, len(body)) == (0, 4), "the end of the options is the end of the block"
            break
        found[code] = body[4 : 4 + length]
        body = body[4 + length + -length % 4 :]
    return found


def contents(data: bytes) -> Contents:
    """Read a file, and hold it against the specification."""
    read = Contents("", -1, [], 0)
    kinds = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        body, (again,) = data[8 : length - 4], struct.unpack_from("<I", data, length - 4)
        assert length == again
        assert length % 4 == 0
        kinds.append(kind)
        data = data[length:]
        if kind == 0x0A0D0D0A:
            assert struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
            read.comment = options_of(body[16:])[COMMENT].decode()
        elif kind == 1:
            read.link, _, most = struct.unpack_from("<HHI", body)
            assert options_of(body[8:])[9] == b"\x09", "nanoseconds"
        elif kind == 6:
            interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
            assert interface == 0
            assert captured == original <= most
            comment = options_of(body[20 + captured + -captured % 4 :]).get(COMMENT, b"").decode()
            read.packets.append(Packet((high << 32) + low, body[20 : 20 + captured], comment))
        elif kind == 5:
            (read.dropped,) = struct.unpack("<Q", options_of(body[12:])[5])
        else:
            raise AssertionError(f"a block of the type {kind} is not to be expected")
    assert kinds[:2] == [0x0A0D0D0A, 1]
    return read


@dataclass
class Segment:
    """A TCP segment."""

    source: tuple[str, int]
    target: tuple[str, int]
    sequence: int
    acknowledges: int
    flags: int
    data: bytes


def adds_up(data: bytes) -> bool:
    """Whether the checksum in some data is right (RFC 1071): together with it, all words are minus zero."""
    words = int.from_bytes(data + bytes(len(data) % 2), "big")
    return words > 0 and words % 0xFFFF == 0  # for 2 to the power of 16 is 1 more than that


def segment(packet: bytes) -> Segment:
    """Read an IPv4 packet, and hold its lengths and checksums against RFC 791 and RFC 9293."""
    assert packet[0] >> 4 == 4
    start = (packet[0] & 15) * 4
    assert int.from_bytes(packet[2:4], "big") == len(packet)
    assert adds_up(packet[:start])
    tcp = packet[start:]
    assert adds_up(packet[12:20] + bytes([0, packet[9]]) + len(tcp).to_bytes(2, "big") + tcp)
    source, target, sequence, acknowledges, size, flags = struct.unpack_from(">HHIIBB", tcp)
    hosts = [socket.inet_ntoa(packet[place : place + 4]) for place in (12, 16)]
    return Segment((hosts[0], source), (hosts[1], target), sequence, acknowledges, flags, tcp[(size >> 4) * 4 :])


@pytest.mark.parametrize("how", HOWS)
def test_a_capture_holds_every_byte_of_every_client(how: How) -> None:
    file, began = io.BytesIO(), time.time_ns()
    told = capture(python_program(SOLUTIONS / "lab01_blocking_echo.py"), "echo", file, how)
    read = contents(file.getvalue())
    assert ("proxy" in read.comment) == (how is How.PROXY)
    header = 14 if read.link == 1 else 0
    segments = [segment(packet.data[header:]) for packet in read.packets]
    times = [packet.nanoseconds for packet in read.packets]
    assert times == sorted(times)
    assert len({packet.data for packet in read.packets}) == len(read.packets), "a packet is there twice"
    assert began <= times[0] <= times[-1] <= time.time_ns()
    assert (told.how, told.packets, told.dropped, read.dropped) == (how, len(segments), 0, 0)
    names = {one.source: packet.comment for one, packet in zip(segments, read.packets, strict=True) if packet.comment}
    assert sorted(names.values()) == ["ann", "bob", "cat", "eve"]
    streams: dict[tuple[tuple[str, int], bool], dict[int, bytes]] = defaultdict(dict)
    flags: dict[str, int] = defaultdict(int)
    for one in segments:
        there = one.source in names
        client = one.source if there else one.target
        flags[names[client]] |= one.flags
        if one.data and one.flags & ACK:
            known = streams[client, there]
            known[one.sequence] = max(known.get(one.sequence, b""), one.data, key=len)  # some may be sent again
    assert all(flags[name] & SYN and flags[name] & FIN and not flags[name] & RST for name in ("ann", "bob", "eve"))
    for client, name in names.items():
        sent, got = (joined(streams[client, there]) for there in (True, False))
        assert sent == got, f"{name} gets back what it sends"
        assert len(sent) == {"ann": 12, "bob": 6, "eve": 6}.get(name, len(sent))
        assert sent.startswith(b"much " if name == "cat" else b"hello\n")


def joined(pieces: dict[int, bytes]) -> bytes:
    """Put a stream together; nothing may be missing in it."""
    stream, start = b"", min(pieces)
    for sequence in sorted(pieces):
        place = sequence - start
        assert place <= len(stream), "a piece of the stream is missing"
        stream += pieces[sequence][len(stream) - place :]
    return stream


def test_what_is_made_up_is_numbered_and_acknowledged_without_a_gap() -> None:
    talk = Conversation(("127.0.0.1", 40000), ("127.0.0.1", 5555))
    data = bytes(range(251)) * 20
    packets = [
        *talk.handshake(),
        *talk.passed(Direction.THERE, Passage.DATA, data),
        *talk.passed(Direction.BACK, Passage.DATA, b"yes"),
        *talk.passed(Direction.THERE, Passage.END, b""),
        *talk.passed(Direction.BACK, Passage.RESET, b""),
    ]
    due: dict[int, int] = {}
    for one in map(segment, packets):
        assert one.sequence == due.setdefault(one.source[1], one.sequence)
        due[one.source[1]] += len(one.data) + bool(one.flags & (SYN | FIN))
        if one.flags & ACK:
            assert one.acknowledges == due[one.target[1]]
        assert len(one.data) <= 1460
    assert b"".join(one.data for one in map(segment, packets) if one.source[1] == 40000) == data
    assert segment(packets[-1]).flags & RST


def test_what_is_no_tcp_stays_as_it_is() -> None:
    for packet in (b"", b"\x45" + bytes(19), b"\x60" + bytes(60), b"\x45" + bytes(8) + b"\x11" + bytes(40)):
        assert with_checksums(packet) == packet


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark")
def test_wireshark_finds_nothing_wrong(tmp_path: Path) -> None:
    file = tmp_path / "made.pcapng"
    talk = Conversation(("127.0.0.1", 40000), ("127.0.0.1", 5555))
    with file.open("wb") as written:
        writer = Writer(written, "test", "made", RAW_IP, "a comment")
        for packet in (*talk.handshake(), *talk.passed(Direction.THERE, Passage.DATA, bytes(5000))):
            writer.packet(1, packet)
    checks = ["-o", "tcp.check_checksum:TRUE", "-Y", "_ws.malformed || tcp.checksum.status==0 || tcp.analysis.flags"]
    done = subprocess.run(["tshark", "-r", file, *checks], capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == b""


def test_the_verb_writes_the_file_whole_and_says_how_it_was_made(tmp_path: Path) -> None:
    server = f"'{sys.executable}' '{SOLUTIONS / 'lab02_line_server.py'}'"
    done = lab("capture", "2", "--target", server, "-o", "two.pcapng", "--how", "proxy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "packets of 2 clients" in done.stdout
    assert "made from what passed a proxy" in done.stdout
    data = b"".join(segment(packet.data).data for packet in contents((tmp_path / "two.pcapng").read_bytes()).packets)
    assert b"how are you?\n" in data.replace(b"1 hello\n", b"")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1", "-o", "one.pcap"], "give it a name that ends in .pcapng"),
        (["7", "-o", "one.pcapng"], "this is for servers only"),
    ],
)
def test_what_cannot_be_captured_is_told_in_a_sentence(words: list[str], told: str, tmp_path: Path) -> None:
    done = lab("capture", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_network_of_its_own_is_not_mixed_with_other_tiers() -> None:
    with pytest.raises(TraceError, match="the tier plain"):
        capture(python_program(SOLUTIONS / "lab01_blocking_echo.py"), "echo", io.BytesIO(), How.NETWORK, tier="box")
