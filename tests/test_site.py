"""The site: built without a network, every link leads somewhere, readable on a wide and on a narrow screen."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import Browser, a_browser
from support import CHROMIUM, ROOT, lab

from harness.cli import FOR_TEACHERS, helps
from harness.course.answers import revealed
from harness.site.pages import sources, texts_of_the_kit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
WIDE, NARROW = (1280, 900), (390, 800)
SOME = ("index.html", "labs/lab01.html", "labs/PROTOCOL.html", "INSTRUCTORS.html", "reference/wire.html")


class Links(HTMLParser):
    """The links of a page, what it loads, and the places in it that one can lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag leads to, and what it is called."""
        fields = dict(attrs)
        self.places.add(fields.get("id") or "")
        if tag == "a" and (target := fields.get("href")) is not None:
            self.links.append(target)
        if (target := fields.get(LOADED.get(tag, ""))) and fields.get("rel") not in ("index", "search", "next", "prev"):
            self.loaded.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "pages"
    done = lab("site", "-o", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with a_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_outside(site: Path) -> None:
    pages = {page.resolve(): Links(page) for page in site.rglob("*.html")}
    dead = [
        f"{page.relative_to(site)}: {link}"
        for page, found in pages.items()
        for link in (*found.links, *found.loaded)
        if not re.match(r"(https?|mailto|data):", link) and not leads_somewhere(link, page, pages)
    ]
    assert len(pages) > 20
    assert dead == []
    outside = [link for found in pages.values() for link in found.loaded if "://" in link]
    styles = " ".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert outside + re.findall(r"(?:@import|url\()\s*['\"]?https?:[^)]*", styles) == []


def leads_somewhere(link: str, page: Path, pages: dict[Path, Links]) -> bool:
    name, _, place = unquote(link).partition("#")
    target = (page.parent / name.partition("?")[0]).resolve() if name else page
    return target.exists() and (not place or target not in pages or place in pages[target].places)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_page_is_wider_than_its_screen(site: Path, browser: Browser, size: tuple[int, int]) -> None:
    browser.resize(*size)
    for name in SOME:
        browser.open(site / name)
        widths = browser.do("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], name
        assert browser.do("document.querySelector('h1').getBoundingClientRect().width") > 100
    assert browser.said == []


def test_one_can_search_it_without_a_server(site: Path, browser: Browser) -> None:
    browser.open(site / "search.html")
    browser.do("document.querySelector('article form input, #searchbox input, input[name=q]').value = 'backlog'")
    browser.do("Search.performSearch('backlog')")
    found = browser.do(
        "new Promise(done => { const look = () => { const links = [...document.querySelectorAll('#search-results a')];"
        " links.length ? done(links.map(one => one.getAttribute('href'))) : setTimeout(look, 20); }; look(); })"
    )
    assert any("labs/" in link for link in found)


def test_the_site_for_students_tells_no_answer(tmp_path: Path) -> None:
    done = lab("site", "--students", "-o", str(tmp_path / "pages"))
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.html")}
    assert {"index.html", "labs/lab09.html", "reference/commands.html"} <= names
    assert not {"INSTRUCTORS.html", "reference/wire.html"} & names
    texts = {name: (tmp_path / "pages" / name).read_text(encoding="utf-8") for name in names}
    assert revealed({name.replace(".html", ".md"): re.sub(r"<[^>]*>", "", text) for name, text in texts.items()}) == []
    commands = texts["reference/commands.html"]
    assert "usage: lab check" in commands
    assert "usage: lab grade" not in commands
    assert len(helps()) - len(helps(for_students=True)) >= len(FOR_TEACHERS)


def test_a_link_that_leads_nowhere_is_left_as_words() -> None:
    texts = texts_of_the_kit()
    texts["labs/lab01.md"] += (
        "\n[a mutant](../tests/mutants), [ours](../solutions/room.py), [home](../README.md#the-house)\n"
    )
    page = sources(texts)["labs/lab01.md"]
    assert str(page).endswith("\na mutant, ours, [home](../index.md#the-house)\n")


def test_what_is_there_stays_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("of somebody")
    for words in (("mine",), ("mine", "--force")):
        done = lab("site", "-o", str(tmp_path / words[0]), *words[1:])
        assert (done.returncode, "is no site" in done.stderr) == (2, True)
    assert (tmp_path / "mine" / "note.txt").exists()
    done = lab("site", "-o", str(tmp_path / "nowhere" / "site"))
    assert (done.returncode, "there is no folder" in done.stderr) == (2, True)


def test_a_fault_of_a_page_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    ignored = shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", "tests")
    shutil.copytree(ROOT, kit, ignore=ignored)
    with (kit / "labs" / "lab02.md").open("a") as page:
        page.write("\n[nowhere](lab01.md#no-such-heading)\n")
    done = lab("site", "--students", "-o", str(tmp_path / "pages"), cwd=kit)
    assert done.returncode == 2
    assert "no-such-heading" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kit"]
