"""A failing check as a script of its own, that a student can read, change and run."""

import sys
from pathlib import Path

from harness.checks.verdict import Verdict
from harness.launch import Command
from harness.results import write_whole
from harness.shell import PYTHON

PRELUDE = Path(__file__).with_name("prelude.py")
PRELUDES = {  # by the kind of the lab
    "chat": (PRELUDE, PRELUDE.with_name("prelude_chat.py")),
    "client": (PRELUDE, PRELUDE.with_name("prelude_client.py")),
}

TAIL = """

if __name__ == "__main__":
    sys.exit(main())
"""

RUNNING = "it is still running"  # what Program.describe_end() says
ENDINGS = (".expect_stop(", ".kill(")  # a server may have ended after these

HEAD = '''"""{title}

PROTOCOL.md, {clause}: {quote}

    {run}                     the program that was checked
    {run} {python} my.py       another one

Exit status 1 while the fault is there, 0 when it is gone.
"""

COMMAND = {command!r}
FOLDER = {folder!r}


def dialogue():
{dialogue}


'''


def write_script(verdict: Verdict, kind: str, command: Command, folder: Path) -> Path:
    """Write the script of a failed check into the folder of its run; return its path."""
    path = folder / f"{verdict.id}.py"
    write_whole(path, script_of(verdict, kind, command))
    return path


def script_of(verdict: Verdict, kind: str, command: Command) -> str:
    """Return the script of a failed check of a program that `command` starts, in its folder."""
    lines = list(verdict.script)
    may_end = verdict.role == "client" or any(ending in line for line in lines for ending in ENDINGS)
    if verdict.server != RUNNING and not may_end:
        lines.append("server.expect_running()")  # it ended in the middle: another time that may show a moment later
    words = [PYTHON if word == sys.executable else word for word in command.words]
    head = HEAD.format(
        title=verdict.title,
        clause=verdict.clause,
        quote=verdict.quote,
        run=f"{PYTHON} {verdict.id}.py",
        python=PYTHON,
        command=words,
        folder=str(command.folder),
        dialogue="\n".join(f"    {line}" for line in lines),
    )
    parts = [prelude.read_text(encoding="utf-8") for prelude in PRELUDES.get(kind, (PRELUDE,))]
    return head + "\n\n".join(parts) + TAIL
