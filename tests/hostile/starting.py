"""Programs that do not come to listening, mostly by bad luck, and hand-ins with files that tools may stumble over."""

from hostile.case import Case, Ends, Hangs, Says

SERVES = """
import socket, sys
found = {found}
with socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1]))) as listener:
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(repr(found).encode())
"""
GREETS = SERVES.format(found="'grüezi'")
ENDS = "import os\nos._exit(99)\n"
ALIKE = {  # what some tool might take for its own
    **dict.fromkeys(("sitecustomize.py", "usercustomize.py", "conftest.py", "harness.py", "pytest.py", "lab.py"), ENDS),
    "pytest.ini": "[pytest]\naddopts = --no-such-option\n",
    "pyproject.toml": "[",
}


def _same(name: str, source: str | bytes, outcome: Ends | Hangs | Says, **more: object) -> Case:
    """Return a case that comes to the same everywhere."""
    return Case(name, source, outcome, plain=outcome, **more)  # type: ignore[arg-type]


CASES = (
    _same("hangs-before-listening", "hang()", Hangs()),
    _same(
        "sleeps-at-import",
        "import helper",
        Hangs(),
        files={"helper.py": "import time\nprint('imported', flush=True)\ntime.sleep(60)\n"},
    ),
    _same("input-at-import", "name = input('Your name? ')", Ends("status 1", prints="EOFError")),
    _same("syntax-error", "def f(:", Ends("status 1", prints="SyntaxError")),
    _same("python-2", b"print 'listening'\n", Ends("status 1", prints="Missing parentheses")),
    _same("byte-order-mark", b"\xef\xbb\xbf" + GREETS.encode(), Says("grüezi")),
    _same("carriage-returns", GREETS.replace("\n", "\r\n").encode(), Says("grüezi")),
    _same("latin-1", GREETS.encode("latin-1"), Ends("status 1", prints="Non-UTF-8 code")),
    _same("latin-1-declared", b"# -*- coding: latin-1 -*-\n" + GREETS.encode("latin-1"), Says("grüezi")),
    _same("null-bytes", GREETS.encode("utf-16"), Ends("status 1", prints="null bytes|SyntaxError")),
    _same("nothing-at-all", b"", Ends("status 0")),
    _same("exits-with-7", "sys.exit(7)", Ends("status 7")),
    _same("ends-by-a-signal", "os.kill(os.getpid(), signal.SIGSEGV)", Ends("ended by SIGSEGV")),
    _same("real-time-signal", "os.kill(os.getpid(), 40)", Ends("ended by signal 40")),
    _same(
        "has-a-file-socket.py",
        "",
        Ends("status 1", prints="AttributeError"),
        files={"socket.py": "print('mine')\n"},
    ),
    _same("has-files-that-tools-look-for", "found = 'unharmed'", Says("unharmed"), files=ALIKE),
    _same("becomes-another-program", "print('goes', flush=True)\nos.execv('/bin/sleep', ['sleep', '60'])", Hangs()),
    _same(
        "begins-anew-without-end",
        "if '--again' not in sys.argv: print('goes', flush=True)\n"
        "os.execv(sys.executable, [sys.executable, '-S', __file__, '--again', '--port', str(port)])",
        Hangs(),
    ),
    _same(
        "very-long-command-line",
        "if len(sys.argv) < 9:\n"
        "    os.execv(sys.executable, [sys.executable, '-S', __file__, *sys.argv[1:], *['x' * 100_000] * 18])\n"
        "found = sum(map(len, sys.argv)) > 1_000_000",
        Says(True),
    ),
)
