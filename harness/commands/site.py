"""`lab site`: the kit's texts as pages for a browser."""

import argparse
import contextlib
import io
import tempfile
from importlib import import_module
from pathlib import Path

from harness.commands.choose import shown
from harness.commands.extras import SPHINX
from harness.course import load_course
from harness.course.release import contents
from harness.errors import UsageError
from harness.site.pages import sources, texts_of_the_kit

HERE = Path(__file__).parents[1] / "site"
MARK = "objects.inv"  # what tells a site from a folder of somebody's


def site(args: argparse.Namespace) -> int:
    """Write the site; nothing is left half-written."""
    target = Path(args.target).resolve()
    if target.exists() and not (args.force and (target / MARK).is_file()):
        what = "is there already: --force replaces it" if (target / MARK).is_file() else "is there, and is no site"
        raise UsageError(f"{shown(target)} {what}; or name another folder with -o")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    SPHINX.install("site")
    texts = contents(load_course().labs) if args.students else texts_of_the_kit()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".site-") as place:
        _write(sources(texts, args.students), Path(place, "sources"))
        pages = _built(Path(place, "sources"), Path(place, "site"))
        if target.exists():
            target.rename(Path(place, "old"))
        Path(place, "site").rename(target)
    print(f"{shown(target)}: {pages} pages; open {shown(target / 'index.html')}")
    return 0


def _write(files: dict[str, str | bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _built(folder: Path, into: Path) -> int:
    """Let Sphinx make the pages; what it warns of is an error, such as a link that leads nowhere."""
    application = import_module("sphinx.application").Sphinx
    import_module("sphinx.util.console").nocolor()
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        made = application(
            str(folder), str(HERE), str(into), str(folder / ".doctrees"), "html", status=None, warning=said
        )
        made.build()
    if told := said.getvalue().strip():
        raise UsageError(f"the site would have faults:\n{told.replace(str(folder) + '/', '')}")
    (into / ".buildinfo").unlink(missing_ok=True)
    return len(made.env.found_docs)
