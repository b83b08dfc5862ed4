"""Zips that are the same bytes from the same files, whenever and wherever they are made."""

import io
import zipfile
from collections.abc import Collection, Mapping

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a zip can tell
PLAIN, PROGRAM = 0o100644, 0o100755  # st_mode
UNIX = 3  # the system whose modes these are


def zipped(files: Mapping[str, bytes], programs: Collection[str] = ()) -> bytes:
    """Return a zip of files by their names, in this order; `programs` are those that can be executed.

    Nothing is compressed: compressors differ from version to version.
    """
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX  # on every system
            entry.external_attr = (PROGRAM if name in programs else PLAIN) << 16
            archive.writestr(entry, content)
    return whole.getvalue()
