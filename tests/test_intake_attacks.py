"""Hand-ins that mean harm: each is refused by itself, with a reason, and the others are taken in as ever."""

import io
import os
import random
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import unicodedata
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from packing import by_origin, contents, folder_of, from_ann, tarred, tarred_entry, zipped, zipped_entry

from harness.classroom.intake import Limits, open_intake
from harness.classroom.intake.entries import Unreadable
from harness.classroom.intake.limits import MIB, Meter, Total
from harness.classroom.intake.sources import open_source
from harness.classroom.intake.unpack import Consumed, Part
from harness.errors import UsageError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files on Windows")
SMALL = Limits(bytes=100_000, files=20, entries=100, archive=200_000, ratio_from=20_000)


# ---- names that lead elsewhere

SLIPS = {
    "../evil.py": "leads out of its folder",
    "a/../../evil.py": "leads out of its folder",
    "a/../evil.py": "leads out of its folder",
    "..\\evil.py": "leads out of its folder",
    "/tmp/evil.py": "is an absolute path",
    "\\\\server\\share\\evil.py": "is an absolute path",
    "C:\\evil.py": "has a colon",
    "C:evil.py": "has a colon",
    "lab01.py:stream": "has a colon",
    "evil\n.py": "has control characters",
    "evil\x1b[2J.py": "has control characters",
    "x" * 256 + ".py": "is too long",
    "/".join(["y" * 200] * 6): "is too long",
}


@pytest.mark.parametrize("name", SLIPS)
@pytest.mark.parametrize("way", ["zip", "tar"])
def test_a_name_that_leads_elsewhere(name: str, way: str, tmp_path: Path) -> None:
    files = {name: b"evil", "lab01.py": b"good"}
    one = from_ann(zipped(files) if way == "zip" else tarred(files), tmp_path, f"ann.{way}")
    assert contents(one) == {"lab01.py": b"good"}
    assert any("is left out" in note and SLIPS[name] in note for note in one.notes)
    assert all(note.isprintable() for note in one.notes)


def test_a_nul_in_a_name(tmp_path: Path) -> None:
    data = zipped({"lab01.py?.exe": b"evil", "lab02.py": b"good"}).replace(b"lab01.py?.exe", b"lab01.py\0.exe")
    one = from_ann(data, tmp_path)
    assert contents(one) == {"lab02.py": b"good"}
    assert "in ann.zip: lab01.py\\x00.exe is left out: it has control characters" in one.notes


@pytest.mark.parametrize("way", ["zip", "tar"])
def test_the_archive_of_the_class_slips(way: str, tmp_path: Path) -> None:
    files = {"../evil.py": b"", "/evil.py": b"", "ann/../../evil.py": b"", "ann/../bob/lab01.py": b"", "bob/a.py": b"b"}
    source = tmp_path / f"class.{way}"
    source.write_bytes(zipped(files) if way == "zip" else tarred(files))
    intake = open_intake(source, tmp_path / "deep" / "into")
    hand_ins = by_origin(intake)
    assert contents(hand_ins["bob"]) == {"a.py": b"b"}
    assert (hand_ins["ann"].status, hand_ins["ann"].files) == ("unreadable", {})
    assert sum("leads out of class" in note for note in intake.notes) == 2
    assert sorted(path.name for path in tmp_path.rglob("*.py")) == ["a.py"]


COLLISIONS = {
    "case": ["lab01.py", "LAB01.py"],
    "case of a folder": ["src/a.py", "SRC/A.py"],
    "sharp s": ["straße.py", "STRASSE.py"],
    "composed": [unicodedata.normalize(form, "Übung.py") for form in ("NFC", "NFD")],
    "twice": ["lab01.py", "lab01.py"],
    "the same path": ["src/lab01.py", "src//lab01.py"],
    "file and folder": ["src", "src/lab01.py"],
}


@pytest.mark.parametrize("which", COLLISIONS)
@pytest.mark.parametrize("way", ["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide(which: str, way: str, tmp_path: Path) -> None:
    data = io.BytesIO()
    if way == "zip":
        with zipfile.ZipFile(data, "w") as archive:
            for number, name in enumerate([*COLLISIONS[which], "good.py"]):
                archive.writestr(zipfile.ZipInfo(name), str(number))
    else:
        with tarfile.open(fileobj=data, mode="w") as packed:
            for name in [*COLLISIONS[which], "good.py"]:
                packed.addfile(tarfile.TarInfo(name))
    one = from_ann(data.getvalue(), tmp_path, f"ann.{way}")
    left = {"good.py", "src/lab01.py"} if which == "file and folder" else {"good.py"}
    assert set(contents(one)) == left
    assert sum("on some systems another entry has the same name" in note for note in one.notes) == 3 - len(left)


# ---- what is no regular file


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../bob/lab01.py", "lab01.py"])
def test_links_in_a_tar(kind: bytes, target: str, tmp_path: Path) -> None:
    one = from_ann(tarred_entry("link.py", kind, target), tmp_path, "ann.tar")
    assert (one.status, one.files) == ("unreadable", {})
    assert "in ann.tar: 1 link left out" in one.notes


def test_a_file_behind_a_link_to_a_folder(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as packed:
        info = tarfile.TarInfo("out")
        info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path)
        packed.addfile(info)
        packed.addfile(tarfile.TarInfo("out/evil.py"))
    one = from_ann(data.getvalue(), tmp_path, "ann.tar")
    assert set(contents(one)) == {"out/evil.py"}
    assert not (one.folder / "out").is_symlink()


@pytest.mark.parametrize(("mode", "kind"), [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "FIFO"), (stat.S_IFCHR, "device")])
def test_special_files_in_a_zip(mode: int, kind: str, tmp_path: Path) -> None:
    one = from_ann(zipped_entry("odd.py", b"/etc/passwd", mode | 0o777), tmp_path)
    assert (one.status, one.files) == ("unreadable", {})
    assert f"in ann.zip: 1 {kind} left out" in one.notes


@pytest.mark.parametrize(
    ("kind", "word"), [(tarfile.FIFOTYPE, "FIFO"), (tarfile.CHRTYPE, "device"), (tarfile.BLKTYPE, "device")]
)
def test_special_files_in_a_tar(kind: bytes, word: str, tmp_path: Path) -> None:
    one = from_ann(tarred_entry("odd.py", kind), tmp_path, "ann.tar")
    assert (one.status, f"in ann.tar: 1 {word} left out" in one.notes) == ("unreadable", True)


@POSIX
def test_special_files_in_a_folder_are_entries_and_never_waited_for(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.py").write_text("secret")
    folder = folder_of({"ann/lab01.py": b"1"}, tmp_path / "class")
    os.mkfifo(folder / "ann" / "wait.py")
    os.mkfifo(folder / "fifo.py")
    os.symlink(secret / "key.py", folder / "ann" / "link.py")
    os.symlink(secret, folder / "ann" / "linked")
    os.symlink(secret, folder / "bob")
    os.symlink(folder, folder / "ann" / "round")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(folder / "socket.py"))
        hand_ins = by_origin(open_intake(folder, tmp_path / "into"))
    assert contents(hand_ins["ann"]) == {"lab01.py": b"1"}
    assert set(hand_ins["ann"].notes) == {"1 FIFO left out", "3 links left out"}
    reasons = {name: one.reason for name, one in hand_ins.items() if one.status == "unreadable"}
    assert reasons == {
        name: f"nothing in it counts: 1 {kind} left out"
        for name, kind in {"fifo.py": "FIFO", "bob": "link", "socket.py": "socket"}.items()
    }


@POSIX
@pytest.mark.parametrize("becomes", ["link", "FIFO", "folder behind a link"])
def test_what_changes_after_it_was_listed(becomes: str, tmp_path: Path) -> None:
    folder = folder_of({"sub/lab01.py": b"1"}, tmp_path / "ann")
    secret = folder_of({"lab01.py": b"secret"}, tmp_path / "secret")
    limits = Limits()
    source = open_source(folder, limits, 100, 0)
    entries = [one for one in source.entries() if one.kind == "file"]
    (folder / "sub" / "lab01.py").unlink()
    if becomes == "link":
        os.symlink(secret / "lab01.py", folder / "sub" / "lab01.py")
    elif becomes == "FIFO":
        os.mkfifo(folder / "sub" / "lab01.py")
    else:
        (folder / "sub").rmdir()
        os.symlink(secret, folder / "sub")
    part = Part(tmp_path / "part", Meter(limits, limits.bytes, Total(limits)))
    ((entry, opener),) = source.streams(entries)
    with pytest.raises(Unreadable, match=r"cannot be read at lab01\.py"):
        part.take(("lab01.py",), entry, opener, Consumed(source))
    assert part.taken == {}


@POSIX
def test_a_link_that_lies_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    folder = folder_of({"lab01.py": b"1"}, tmp_path / "ann")
    limits = Limits()
    source = open_source(folder, limits, 100, 0)
    for target, parts in {"file": ("lab01.py",), "folder": ("sub", "lab01.py")}.items():
        part = Part(tmp_path / f"part with a {target}", Meter(limits, limits.bytes, Total(limits)))
        os.symlink(tmp_path / target, part.path / parts[0])
        (tmp_path / "folder").mkdir(exist_ok=True)
        ((entry, opener),) = source.streams(source.entries())
        part.take(parts, entry, opener, Consumed(source))
        assert part.taken == {}
        assert "cannot be a file here" in part.notes[0]
    assert not (tmp_path / "file").exists()
    assert list((tmp_path / "folder").iterdir()) == []


# ---- bombs


def zeros(many: int, compression: str) -> bytes:
    return tarred({"zeros.bin": bytes(many)}, compression)


@pytest.mark.parametrize("way", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_by_ratio(way: str, tmp_path: Path) -> None:
    many = 15 * MIB  # less than a hand-in may have
    data = zipped({"zeros.bin": bytes(many)}) if way == "zip" else zeros(many, way.removeprefix("tar."))
    one = from_ann(data, tmp_path, f"ann.{way}")
    assert (one.status, one.files) == ("unreadable", {})
    assert one.reason.startswith(f"ann.{way} unpacks to more than 200 times its size, as a bomb does")


@pytest.mark.parametrize("way", ["folder", "zip", "tar"])
def test_more_bytes_than_a_hand_in_may_have(way: str, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(60_000)
    files = {"a.py": content, "b.py": content}
    archive = {"zip": zipped(files), "tar": tarred(files)}
    given = {f"ann.{way}": archive[way]} if way in archive else {f"ann/{name}": data for name, data in files.items()}
    folder = folder_of({**given, "bob/a.py": b"1"}, tmp_path / "class")
    ann, bob = open_intake(folder, tmp_path / "into", limits=SMALL).hand_ins
    assert (ann.status, bob.status) == ("unreadable", "ok")
    assert ann.reason.endswith("holds more than 97.66 KiB")
    assert list(ann.folder.iterdir()) == []


def test_more_bytes_over_several_archives_than_a_hand_in_may_have(tmp_path: Path) -> None:
    files = {f"ann/{n}.zip": zipped({"a.bin": random.Random(n).randbytes(60_000)}) for n in range(3)}
    ann, _ = open_intake(
        folder_of({**files, "bob/a": b""}, tmp_path / "class"), tmp_path / "into", limits=SMALL
    ).hand_ins
    assert (ann.status, len(contents(ann))) == ("ok", 1)
    assert sum("holds more than 97.66 KiB" in note for note in ann.notes) == 2


@pytest.mark.parametrize("way", ["zip", "tar"])
def test_65000_entries(way: str, tmp_path: Path) -> None:
    files = {f"{number}": b"" for number in range(65_000)}
    data = zipped(files, zipfile.ZIP_STORED) if way == "zip" else tarred(files, "gz")
    begin = time.perf_counter()
    one = from_ann(data, tmp_path, f"ann.{way}")
    print(f"refused in {time.perf_counter() - begin:.2f} s")
    assert one.reason == f"ann.{way} holds more than 20,000 entries"


def test_501_files(tmp_path: Path) -> None:
    assert from_ann(zipped({f"{n}": b"" for n in range(501)}), tmp_path).reason == "ann.zip holds more than 500 files"


def test_a_table_of_contents_without_end(tmp_path: Path) -> None:
    """A zip's table may be far larger than its entries: comments and extra fields take what they want."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(400):
            info = zipfile.ZipInfo(f"{number}")
            info.comment = b"x" * 65_000
            archive.writestr(info, b"")
    assert from_ann(data.getvalue(), tmp_path).reason == "ann.zip holds more than 20,000 entries"


def test_a_table_of_contents_of_small_entries(tmp_path: Path) -> None:
    """What a zip lists is counted before it is kept: each entry would take ten times its bytes in memory."""
    one = zipped({"a": b""})
    table, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    listing = one[table:end] * 200_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, len(listing), table, 0)
    folder = folder_of({"ann.zip": one[:table] + listing + tail, "bob/a": b""}, tmp_path / "class")
    tracemalloc.start()
    try:
        ann, _ = open_intake(folder, tmp_path / "into").hand_ins
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()
    assert ann.reason == "ann.zip holds more than 20,000 entries"


def test_more_entries_in_a_folder_than_are_looked_at(tmp_path: Path) -> None:
    folder = folder_of({"ann/lab01.py": b"1", "bob/lab01.py": b"1"}, tmp_path / "class")
    for number in range(100):
        (folder / "ann" / f"{number}").mkdir()
    ann, bob = open_intake(folder, tmp_path / "into", limits=SMALL).hand_ins
    assert (ann.reason, bob.status) == ("it holds more than 100 entries", "ok")


def test_each_archive_of_a_hand_in_is_judged_by_itself(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(60_000)
    broken = patched(zipped({"a.bin": noise}), 14, 16, "<L", 1)
    files = {"ann/1.zip": broken, "ann/2.zip": zipped({"b.bin": noise}), "ann/3.zip": zipped({"zeros": bytes(30_000)})}
    ann, _ = open_intake(
        folder_of({**files, "bob/a": b""}, tmp_path / "class"), tmp_path / "into", limits=SMALL
    ).hand_ins
    assert contents(ann) == {"b.bin": noise}
    assert "1.zip cannot be read at a.bin" in ann.notes[0]
    assert ann.notes[1].startswith("3.zip unpacks to more than 200 times its size")


@pytest.mark.parametrize("way", ["gz", "xz"])
def test_a_class_that_wrote_the_same_is_no_bomb(way: str, tmp_path: Path) -> None:
    source = tmp_path / f"class.tar.{way}"
    source.write_bytes(tarred({f"student {number}/lab01.py": b"import socket\n" * 700 for number in range(200)}, way))
    assert {one.status for one in open_intake(source, tmp_path / "into").hand_ins} == {"ok"}


def test_a_nested_bomb(tmp_path: Path) -> None:
    bomb = zipped({"zeros.bin": bytes(9 * MIB)})
    nest = zipped({f"{n}.zip": bomb for n in range(10)} | {"lab01.py": b"1"}, zipfile.ZIP_STORED)
    one = from_ann(nest, tmp_path)
    assert set(contents(one)) == {"lab01.py", *(f"{n}.zip" for n in range(10))}
    assert one.notes.count("in ann.zip: 3.zip is an archive in an archive and stays as it is") == 1
    source = tmp_path / "class.zip"
    source.write_bytes(zipped({"ann/bomb.zip": bomb, "bob/bomb.zip": nest}))
    ann, bob = open_intake(source, tmp_path / "of the class").hand_ins
    assert "bomb.zip unpacks to more than 200 times its size" in ann.reason
    assert "lab01.py" in bob.files


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    """One file, listed a thousand times: small as it lies there, large as it is read."""
    data = zipped({"a": random.Random(1).randbytes(90_000)})
    table = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[table:end]
    listing = entry * 400
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 400, 400, len(listing), table, 0)
    one = from_ann(data[:table] + listing + tail, tmp_path)
    assert (one.status, one.files) == ("unreadable", {})


def test_a_bomb_among_what_does_not_count(tmp_path: Path) -> None:
    """What is left out of a tar has to be unpacked to be passed over."""
    one = from_ann(tarred({".git/zeros": bytes(15 * MIB), "lab01.py": b"1"}, "gz"), tmp_path, "ann.tgz")
    assert one.reason.startswith("ann.tgz unpacks to more than 200 times its size")


def test_a_class_that_is_too_large_is_refused_as_a_whole(tmp_path: Path) -> None:
    folder = folder_of({f"{who}/{n}": bytes(1000) for who in ("ann", "bob") for n in range(9)}, tmp_path / "class")
    into = tmp_path / "into"
    with pytest.raises(UsageError, match="class holds more than 10 entries, 10 of them in ann"):
        open_intake(folder, into, limits=Limits(class_entries=10))
    with pytest.raises(UsageError, match=r"the hand-ins hold more than 9\.766 KiB in all"):
        open_intake(folder, into, limits=Limits(class_bytes=10_000))
    assert list(into.iterdir()) == []
    source = tmp_path / "class.tgz"
    source.write_bytes(tarred({"ann/a.py": b"1", "bob/zeros": bytes(MIB)}, "gz"))
    with pytest.raises(UsageError, match=r"unpacks to more than 97\.66 KiB \(bob/zeros is the last of it"):
        open_intake(source, into, limits=Limits(class_bytes=100_000))


@pytest.mark.parametrize("way", ["folder", "zip", "tar"])
def test_deep_nesting(way: str, tmp_path: Path) -> None:
    files = {"/".join(["d"] * 300 + ["a.py"]): b"", "/".join(["d"] * 31 + ["b.py"]): b"deep"}
    if way == "folder":
        folder = folder_of({"ann/" + "d/" * 31 + "b.py": b"deep", "bob/lab01.py": b""}, tmp_path / "class")
        at = os.getcwd()
        os.chdir(folder / "ann" / ("d/" * 31))
        try:
            for _ in range(1500):
                os.mkdir("d")
                os.chdir("d")
            Path("a.py").write_text("")
        finally:
            os.chdir(at)
        one = by_origin(open_intake(folder, tmp_path / "into"))["ann"]
        subprocess.run(["rm", "-r", str(folder)], check=True)  # deeper than Python's own rmtree goes
    else:
        one = from_ann(zipped(files) if way == "zip" else tarred(files), tmp_path, f"ann.{way}")
    assert contents(one) == {"/".join(["d"] * 31 + ["b.py"]): b"deep"}
    assert any("lies more than 32 folders deep" in note for note in one.notes)


# ---- archives that lie, or are broken


def patched(data: bytes, local: int, central: int, form: str, value: int) -> bytes:
    """Return a zip of one entry with a field changed in both of its headers."""
    changed = bytearray(data)
    struct.pack_into(form, changed, changed.index(b"PK\x03\x04") + local, value)
    struct.pack_into(form, changed, changed.index(b"PK\x01\x02") + central, value)
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 1, 999, 1001, 10**9, 0xFFFFFFFE])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_declared_size_that_is_a_lie(size: int, method: int, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(1000)
    one = from_ann(patched(zipped({"a.py": content}, method), 22, 24, "<L", size), tmp_path)
    assert (one.status, one.files) == ("unreadable", {})
    assert one.reason.startswith("ann.zip cannot be read at a.py")


def test_a_declared_size_that_hides_a_bomb(tmp_path: Path) -> None:
    """The checksum is right for the few bytes that are declared, but megabytes would come."""
    data = patched(zipped({"a.py": bytes(15 * MIB)}), 22, 24, "<L", 10)
    one = from_ann(patched(data, 14, 16, "<L", zlib.crc32(bytes(10))), tmp_path)
    assert sum(len(content) for content in contents(one).values()) <= 10


def test_an_encrypted_zip(tmp_path: Path) -> None:
    one = from_ann(patched(zipped({"lab01.py": b"secret"}), 6, 8, "<H", 1), tmp_path)
    assert one.status == "unreadable"
    assert "in ann.zip: lab01.py is left out: it is encrypted; one without a password is wanted" in one.notes
    assert "encrypted" in one.reason


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_may_take_any_memory(method: int, tmp_path: Path) -> None:
    one = from_ann(zipped({"lab01.py": b"1"}, method), tmp_path)
    assert "compressed in a way that is not unpacked" in one.reason


def test_a_wrong_checksum(tmp_path: Path) -> None:
    one = from_ann(patched(zipped({"lab01.py": b"1"}), 14, 16, "<L", 1), tmp_path)
    assert one.reason.startswith("ann.zip cannot be read at lab01.py (Bad CRC-32")


def test_names_that_are_no_utf_8_though_a_zip_says_so(tmp_path: Path) -> None:
    data = patched(zipped({"xbung.py": b"1"}), 6, 8, "<H", 0x800).replace(b"xbung", b"\xdcbung")
    assert "is no zip that can be read" in from_ann(data, tmp_path).reason


@pytest.mark.parametrize("way", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_an_archive_cut_off_or_spoilt_anywhere(way: str, tmp_path: Path) -> None:
    chance = random.Random(1)
    files = {f"{number}.py": chance.randbytes(700) for number in range(3)}
    good = zipped(files) if way == "zip" else tarred(files, way.removeprefix("tar").removeprefix("."))
    given = {}
    for number in range(60):
        place = chance.randrange(1, len(good))
        spoilt = bytearray(good)
        spoilt[place] ^= chance.randrange(1, 256)
        given |= {f"cut{number}.{way}": good[:place], f"spoilt{number}.{way}": bytes(spoilt)}
    intake = open_intake(folder_of(given, tmp_path / "class"), tmp_path / "into", "plain")
    assert len(intake.hand_ins) == len(given)
    for one in intake.hand_ins:
        found = contents(one)
        if one.status == "unreadable":
            assert one.reason
        elif way == "tar" and "spoilt" in one.origin:
            pass  # a plain tar has no checksum over its contents
        else:
            assert len(found) == 3 or one.notes, one.origin
            assert {name: data for name, data in found.items() if name in files and files[name] != data} == {}


def test_a_tar_that_goes_backwards_or_has_no_end_of_headers(tmp_path: Path) -> None:
    """Sizes below zero send some readers round in circles; a header of gigabytes would fill the memory."""
    back = bytearray(tarred({"a.py": b"1"}))
    back[124:136] = b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")
    huge = bytearray(tarred({"a.py": b"1"}))
    huge[156:157] = tarfile.XHDTYPE
    huge[124:136] = b"77777777777\0"
    for name, data in {"back": back, "huge": huge}.items():
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        one = from_ann(bytes(data), tmp_path / name, "ann.tar")
        assert (one.status, one.files) == ("unreadable", {}), name
        assert "is no archive that can be read" in one.reason


def test_a_header_that_would_fill_the_memory(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as packed:
        info = tarfile.TarInfo("lab01.py")
        info.pax_headers = {"comment": random.Random(1).randbytes(2 * MIB).hex()}
        packed.addfile(info)
    assert "(a header of 4" in from_ann(data.getvalue(), tmp_path, "ann.tar").reason


def test_an_xz_that_wants_a_gigabyte_of_memory(tmp_path: Path) -> None:
    import lzma

    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 26}]
    header = bytearray(lzma.compress(tarred({"a.py": b"1"}), lzma.FORMAT_XZ, filters=filters))
    place = header.index(b"\x21\x01") + 2  # the size of the dictionary, in the header of the block
    header[place] = 38  # 2 GiB
    header[20:24] = zlib.crc32(bytes(header[12:20])).to_bytes(4, "little")
    one = from_ann(bytes(header), tmp_path, "ann.tar.xz")
    assert "Memory usage limit exceeded" in one.reason


def test_a_sparse_tar_has_the_size_that_is_written(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.bin"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "in").mkdir()
    done = subprocess.run(
        ["tar", "-S", "-cf", str(tmp_path / "sparse.tar"), "-C", str(tmp_path), "sparse.bin"], check=False
    )
    if done.returncode:
        pytest.skip("there is no GNU tar here")
    folder = folder_of({"ann.tar": (tmp_path / "sparse.tar").read_bytes(), "bob/a": b""}, tmp_path / "class")
    ann, _ = open_intake(folder, tmp_path / "into").hand_ins
    assert (ann.status, ann.reason) == ("unreadable", "ann.tar holds more than 20 MiB")
