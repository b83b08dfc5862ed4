"""From a symptom to its cause: what the rules see in small wrong programs, in right ones, and in hostile files."""

import json
import tempfile
import time
from pathlib import Path

import pytest
from servers.catalogue import HERE as SERVERS
from servers.catalogue import SOURCES
from support import SOLUTIONS

from harness.checks.diagnosis import inside
from harness.checks.diagnosis.code import Code
from harness.checks.diagnosis.diagnose import from_traceback, point_out, program_of, rules_for
from harness.checks.diagnosis.inside import MOST_BYTES, MOST_FILES, files_of, places
from harness.checks.diagnosis.look import PATIENCE, look
from harness.checks.diagnosis.rule import RULES
from harness.checks.diagnosis.traces import raised
from harness.checks.verdict import Status, Verdict
from harness.course import load_course
from harness.launch import parse_command
from harness.launch.command import python_program
from harness.launch.tiers import TIERS, hindrance

# Small wrong programs: for each rule one that it sees, at the line that ends with `# <`.
WRONG = {
    "taken-for-a-line": """
        while data := connection.recv(1024):  # <
            handle(data.strip())
        """,
    "first-line-only": """
        line, _, rest = data.partition(b"\\n")  # <
        """,
    "rest-is-lost": """
        for line in data.split(b"\\n"):  # <
            handle(line)
        """,
    "decoded-in-pieces": """
        text += connection.recv(1024).decode("utf-8", errors="replace")  # <
        """,
    "decoded-strictly": """
        text = line.decode()  # <
        """,
    "ends-at-more-than-lf": """
        lines = text.splitlines()  # <
        """,
    "without-a-line-end": """
        connection.sendall(f"[SERVER] {text}".encode())  # <
        """,
    "end-is-not-seen": """
        while True:
            data = connection.recv(1024)  # <
            if data == b"quit": print("bye")
        """,
    "sent-in-part": """
        connection.send(data)  # <
        """,
    "all-is-kept": """
        buffer += connection.recv(1024)
        line, found, buffer = buffer.partition(b"\\n")  # <
        """,
    "thread-is-called-here": """
        Thread(target=serve(connection)).start()  # <
        """,
    "thread-is-not-started": """
        thread = Thread(target=serve)  # <
        """,
    "joined-at-once": """
        while True:
            connection, _ = listener.accept()
            thread = Thread(target=serve); thread.start()
            thread.join()  # <
        """,
    "read-while-accepting": """
        def name_of(connection):
            return connection.recv(1024)  # <
        while True:
            connection, _ = listener.accept()
            name = name_of(connection)
            Thread(target=serve, args=(connection, name)).start()
        """,
    "waits-until-all-is-taken": """
        import select
        connection.sendall(data)  # <
        """,
    "waits-for-the-slowest": """
        async def tell(writers):
            for writer in writers:
                await writer.drain()  # <
        """,
    "sockets-wait": """
        import select
        listener.setblocking(False)
        ready, _, _ = select.select(sockets, [], [])  # <
        """,
    "no-lock": """
        threading.Thread(target=serve).start()  # <
        """,
    "lock-of-its-own": """
        with threading.Lock():  # <
            members.append(name)
        """,
    "lock-is-not-held": """
        lock = threading.Lock()  # <
        members.append(name)
        """,
    "sent-without-the-lock": """
        Thread(target=serve).start()
        lock = Lock()
        with lock: everybody = list(members)
        for connection in everybody:
            connection.sendall(line)  # <
        """,
    "one-for-all-clients": """
        def serve():
            global newest
            newest, _ = 1, 2
            newest = listener.accept()[0]  # <
        """,
    "looked-up-later": """
        while True:
            connection, _ = listener.accept()
            Thread(target=lambda: serve(connection)).start()  # <
        """,
    "kept-for-all": """
        class Connection:
            buffer = bytearray()  # <
            def feed(self, data):
                self.buffer.extend(data)
        """,
    "changed-while-gone-through": """
        for name in members:  # <
            if gone(name):
                del members[name]
        """,
    "sender-is-blamed": """
        for connection in everybody:
            connection.sendall(line)  # <
        """,
    "threads-live-on": """
        Thread(target=serve).start()  # <
        """,
    "everything-is-caught": """
        while True:
            try:
                serve()
            except:  # <
                print("never mind")
        """,
    "asks-again": """
        while True:
            try:
                data = connection.recv(1024)
            except BlockingIOError:  # <
                continue
        """,
    "given-up": """
        connection.settimeout(0.5)  # <
        """,
    "address-is-not-reused": """
        listener.bind((host, port))  # <
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        """,
    "listens-everywhere": """
        listener.bind(("", port))  # <
        """,
    "short-queue": """
        listener.listen(5)  # <
        """,
    "descriptors-are-not-counted": """
        ready, _, _ = select.select(sockets, [], [])  # <
        """,
    "not-flushed": """
        print(f"listening on {host}:{port}")  # <
        """,
    "begins-like-a-command": """
        if line.startswith("/list"):  # <
            show()
        """,
    "only-the-beginning-matches": """
        if NAME.match(name):  # <
            accept()
        """,
}


def dedented(text: str) -> str:
    return "\n".join(line.removeprefix("        ") for line in text.splitlines())


@pytest.mark.parametrize("name", RULES)
def test_each_rule_sees_the_line_that_it_is_about(name: str) -> None:
    text = dedented(WRONG[name])
    marked = [number for number, line in enumerate(text.splitlines(), start=1) if line.endswith("# <")]
    assert [place["line"] for place in places(Code({"mine.py": text}), name)] == marked


def test_each_rule_is_for_checks_that_there_are_and_says_something() -> None:
    known = {check for lab in load_course().labs for step in lab.steps for check in step.checks}
    for rule in RULES.values():
        assert rule.checks, rule.name
        assert rule.checks <= known, (rule.name, rule.checks - known)
        assert rule.sentence.endswith("."), rule.name


def agreeing(program: Path, kinds: set[str]) -> list[str]:
    """Return what rules say of a program that might be told of a check of its kind, whatever that check says."""
    checks = {check for lab in load_course().labs if lab.kind in kinds for step in lab.steps for check in step.checks}
    code = Code(files_of(program))
    return [f"{name}: {place}" for name, rule in RULES.items() if rule.checks & checks for place in places(code, name)]


@pytest.mark.parametrize("lab", load_course().labs, ids=lambda lab: str(lab.number))
def test_no_rule_sees_anything_in_a_solution(lab: object) -> None:
    (own,) = [one for one in load_course().labs if one == lab]
    checks = {check for step in own.steps for check in step.checks}
    code = Code(files_of(SOLUTIONS / own.program))
    assert not [place for name, rule in RULES.items() if rule.checks & checks for place in places(code, name)]


def test_rules_rarely_see_something_in_what_is_right_in_another_way() -> None:
    """That costs nothing as long as the check holds; but it must not become a habit."""
    programs = [source for source in SOURCES if source.file.endswith(".py")]
    seen = [one for source in programs for one in agreeing(SERVERS / source.file, {source.kind})]
    assert len(seen) <= len(programs), "\n".join(seen)


# A look at files that nobody trusts

DEEP = "(" * 5000 + ")" * 5000
HOSTILE = {
    "brackets": f"x = {DEEP}",
    "minuses": f"x = {'-' * 90_000}1",
    "calls": "f" + "()" * 60_000,
    "chain": "x = " + " + ".join(["recv(1)"] * 20_000),
    "null": "x = 1\0",
    "no-python": "def",
    "not-utf-8": "x = '\udcff'",
    "imports-itself": "import mine\nimport mine2",
    "empty": "",
    "import": "raise SystemExit('it was run')\nimport os; os.abort()",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_look_at_a_hostile_file_ends_soon_and_says_nothing_wrong(name: str, tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_bytes(HOSTILE[name].encode(errors="surrogateescape"))
    began = time.monotonic()
    seen = look(program, list(RULES))
    assert time.monotonic() - began < 3 * PATIENCE
    assert all((place.file, place.line) == ("mine.py", 1) for place in seen)


def test_what_is_too_large_or_too_much_is_left_out(tmp_path: Path) -> None:
    names = [f"module{number}" for number in range(2 * MOST_FILES)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("text = line.decode()\n")
    program = tmp_path / "mine.py"
    program.write_text("\n".join(f"import {name}" for name in names))
    assert len(files_of(program)) == MOST_FILES
    program.write_text("#" * (MOST_BYTES + 1))
    assert files_of(program) == {}
    program.unlink()
    program.mkdir()
    assert files_of(program) == {}


@pytest.mark.parametrize("tier", TIERS)
def test_a_look_is_contained_in_each_tier(tier: str) -> None:
    if why := hindrance(tier):
        pytest.skip(why)
    with tempfile.TemporaryDirectory() as place:  # which everybody may enter, unlike pytest's own
        folder = Path(place)
        folder.chmod(0o755)
        program = folder / "mine.py"
        program.write_text("from ast import shadow\nimport framing\n")
        (folder / "ast.py").write_text("print('[]'); raise SystemExit\n")  # it is looked at, and not imported
        (folder / "framing.py").write_text("\ntext = line.decode()\n")
        (seen,) = look(program, ["decoded-strictly", "short-queue"], tier)
    assert (seen.rule, seen.file, seen.line, seen.code) == ("decoded-strictly", "framing.py", 2, "text = line.decode()")


@pytest.mark.parametrize(
    "printed",
    ["", "x", "{}", "[1]", '[{"rule": "none"}]', "[" * 9999, json.dumps([{"rule": "short-queue", "file": 1}])],
)
def test_what_makes_no_sense_is_not_believed(printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = tmp_path / "says.py"
    says.write_text(f"def main(*_):\n    print({printed!r})\n")
    monkeypatch.setattr(inside, "__file__", str(says))
    assert look(tmp_path / "mine.py", ["short-queue"]) == []


# Symptoms


def failed(check: str, message: str = "ann got nothing", **fields: object) -> Verdict:
    return Verdict(check, "1.1", "", "", "", Status.FAIL, 0, 1, message=message, **fields)  # type: ignore[arg-type]


def test_a_rule_speaks_only_where_the_symptom_agrees(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text("text = line.decode()\nlistener.listen(5)\n")
    verdicts = [failed("invalid-utf8"), failed("survives-reset"), failed("burst-of-100")]
    point_out(verdicts, python_program(program), "plain")
    assert [[place["line"] for place in one.in_code] for one in verdicts] == [[1], [], []]
    verdicts = [failed("burst-of-100", "client7 could not connect within 5 s")]
    point_out(verdicts, python_program(program), "plain")
    assert verdicts[0].in_code[0]["says"] == RULES["short-queue"].sentence


def test_nothing_is_looked_at_for_what_holds_or_was_ended(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text("text = line.decode()\n")
    held, ended = failed("invalid-utf8"), failed("invalid-utf8", limit="memory")
    held.status = Status.PASS
    point_out([held, ended], python_program(program), "plain")
    assert not held.in_code
    assert not ended.in_code
    assert rules_for(ended)


def test_which_file_a_command_runs(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text("")
    assert program_of(parse_command("python3 -u mine.py --host {host} --port {port}", tmp_path)) == program
    assert program_of(parse_command("node server.mjs", tmp_path)) is None
    assert program_of(parse_command("python3 other.py", tmp_path)) is None


# Tracebacks

TRACEBACK = """listening on 127.0.0.1:5555
Exception in thread Thread-1 (serve):
Traceback (most recent call last):
  File "/usr/lib/python3.11/threading.py", line 1045, in _bootstrap_inner
    self.run()
  File "/hand-ins/ann/mine.py", line 31, in serve
    name = words[1]
           ~~~~~^^^
  File "/usr/lib/python3.11/codecs.py", line 322, in decode
IndexError: list index out of range
"""
LOST = """Traceback (most recent call last):
  File "mine.py", line 7, in echo
    data = connection.recv(1024)
ConnectionResetError: [Errno 104] Connection reset by peer
"""


def test_a_traceback_names_the_last_line_of_the_author() -> None:
    (one,) = raised(TRACEBACK, frozenset({"mine.py"}))
    assert (one.file, one.line, one.function, one.code) == ("mine.py", 31, "serve", "name = words[1]")
    assert one.error == "IndexError: list index out of range"


def test_what_a_client_did_comes_last_and_each_line_once() -> None:
    found = raised(LOST + TRACEBACK + LOST, frozenset({"mine.py"}))
    assert [one.line for one in found] == [31, 7]


@pytest.mark.parametrize(
    "printed",
    [
        "Traceback (most recent call last):",
        'Traceback (most recent call last):\n  File "mine.py", line 1, in f\n',
        "Traceback (most recent call last):\nand then I said: hello",
        "Traceback (most recent call last):\n" * 5000,
        "Traceback (most recent call last):\n" + "  x\n" * 100_000,
        TRACEBACK.replace("mine.py", "library.py"),
        TRACEBACK.replace("31", "9" * 5000),
    ],
)
def test_what_only_looks_like_a_traceback_of_the_author_names_nothing(printed: str) -> None:
    assert raised(printed, frozenset({"mine.py"})) == []


def test_only_files_beside_the_program_are_the_authors(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text("")
    (told,) = from_traceback(TRACEBACK, python_program(program))
    assert (told["file"], told["line"]) == ("mine.py", 31)
    assert "list index out of range" in told["says"]
    assert from_traceback(TRACEBACK, parse_command("node server.mjs", tmp_path)) == []
