"""Archives for tests of the intake, packed as people, platforms and attackers pack them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from harness.classroom.intake import HandIn, Intake, open_intake

Files = Mapping[str, bytes]


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content, method)
    return data.getvalue()


def zipped_entry(name: str, content: bytes = b"", mode: int = 0) -> bytes:
    """Return a zip with one entry of a mode: a link, a FIFO."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, mode << 16
        packed.writestr(info, content)
    return data.getvalue()


def tarred(files: Files, compression: str = "") -> bytes:
    """Return a tar, compressed by "gz", "bz2" or "xz"."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}", errors="surrogateescape") as packed:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return data.getvalue()


def tarred_entry(name: str, kind: bytes, target: str = "") -> bytes:
    """Return a tar with one entry of a kind: a link, a device."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as packed:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        packed.addfile(info)
    return data.getvalue()


def folder_of(files: Files, folder: Path) -> Path:
    """Write files to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def contents(one: HandIn) -> dict[str, bytes]:
    """Return what was taken in of a hand-in; what lies in its folder has to be just that."""
    lying = {str(path.relative_to(one.folder)) for path in one.folder.rglob("*") if not path.is_dir()}
    assert lying == set(one.files)
    return {path: place.read_bytes() for path, place in one.files.items()}


def by_origin(intake: Intake) -> dict[str, HandIn]:
    """Return the hand-ins by their names in the source."""
    return {one.origin: one for one in intake.hand_ins}


def from_ann(archive: bytes, tmp_path: Path, name: str = "ann.zip") -> HandIn:
    """Take in a class in which ann handed in an archive and bob a file; return ann's."""
    folder = folder_of({name: archive, "bob/lab01.py": b"bob's"}, tmp_path / "class")
    hand_ins = by_origin(open_intake(folder, tmp_path / "into"))
    assert contents(hand_ins["bob"]) == {"lab01.py": b"bob's"}
    assert set(hand_ins) == {name, "bob"}
    assert not [path for path in tmp_path.iterdir() if path.name not in ("class", "into")]
    return hand_ins[name]
