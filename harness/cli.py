"""`lab`: one function a verb, in harness/commands; this is where their options are told."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

from harness import __version__
from harness.course.layout import CLASSROOM
from harness.course.stubs import has_solutions
from harness.errors import UsageError

DESCRIPTION = """Learn socket programming: complete the stubs in labs/, one small step after another."""
EPILOG = """Without a command: where you are, and what to type next.
Exit status: 0 all holds, 1 a fault was found in what was examined, 2 usage or the kit's own error."""
FOR_TEACHERS = {"demo.demo", "kit.test", "kit.build", "release.release"}
FOR_TEACHERS |= {"grade.grade", "export.export", "similarity.similarity", "site.site"}
FOR_GRADERS = {"autograde.autograde"}  # what a platform's grader, which has no solutions either, needs


def withheld() -> set[str]:
    """Return the verbs that this copy of the kit cannot do; the whole kit can do all."""
    if has_solutions():
        return set()
    return FOR_TEACHERS if CLASSROOM.is_dir() else FOR_TEACHERS | FOR_GRADERS


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; a student's copy of the kit does not tell what it cannot do."""
    whole, hidden = has_solutions(), withheld()
    top = argparse.ArgumentParser(
        prog="lab", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"socket lab kit {__version__}")
    top.set_defaults(verb="student.where")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND")

    def verb(name: str, function: str, text: str) -> argparse.ArgumentParser:
        told = {"help": text} if function not in hidden else {}
        added = verbs.add_parser(name, description=text, **told)  # type: ignore[arg-type]
        added.set_defaults(verb=function)
        return added

    def tier(command: argparse.ArgumentParser, default: str = "plain") -> None:
        command.add_argument(
            "--tier",
            choices=["best", "box", "ruleset", "plain"],
            default=default,
            help="how programs are contained: box or ruleset for anybody's, plain for one's own, best for the best "
            "that `lab doctor` finds (%(default)s)",
        )

    def if_whole(text: str) -> str:
        return text if whole else argparse.SUPPRESS

    one = verb("check", "check.check", "check a lab, or one step of it")
    one.add_argument("lab", nargs="?", metavar="LAB[.STEP]", help="1, or 1.2; without it the lab you are at")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--target", metavar="CMD", help="check any program; {host} and {port} are filled in")
    which.add_argument("--solution", action="store_true", help=if_whole("check the reference solution"))
    one.add_argument("--any-model", action="store_true", help="leave out checks of how it is done (threads, select)")
    one.add_argument("--json", metavar="FILE", help="write the results there; - is standard output")
    one.add_argument("-k", dest="keyword", metavar="EXPR", default="", help="only checks whose name matches")
    one.add_argument("-x", dest="stop", action="store_true", help="stop at the first failure")
    one.add_argument("--draw", action="store_true", help="show who said what in the checks that hold, too")
    one.add_argument("--repeat", type=int, default=1, metavar="N", help="make the checks N times, tell what differs")
    one.add_argument("--seed", type=int, help="of everything random (default: a new one, which is printed)")
    tier(one)
    one.set_defaults(explained=3)

    one = verb("watch", "watch.watch", "check the step you are at whenever you save a file; Ctrl-C ends it")
    one.add_argument("lab", nargs="?", metavar="LAB", help="stay in this lab; without it the lab you are at")
    one.add_argument("--tui", action="store_true", help="in panes: steps, checks, dialogue and output side by side")
    one.add_argument("--events", action="store_true", help=argparse.SUPPRESS)  # what --tui reads
    one.add_argument("--poll", action="store_true", help="where saves are not seen: on network drives, on some WSL")
    one.set_defaults(
        target=None,
        solution=False,
        any_model=False,
        json=None,
        keyword="",
        stop=False,
        draw=False,
        repeat=1,
        seed=None,
        tier="plain",
        explained=1,
    )

    one = verb("diff", "diff.diff", "what you have changed in the files of a lab")
    one.add_argument("lab", metavar="LAB")
    one.add_argument("--solution", action="store_true", help=if_whole("against the solution of the steps that hold"))

    run = verb("run", "student.run", "start the program of a lab as a student would")
    run.add_argument("lab", metavar="LAB")
    chat = verb("chat", "student.chat", "join a chat with your client of lab 7")
    for one in (run, chat):
        one.add_argument("--solution", action="store_true", help=if_whole("start the reference solution"))
        one.add_argument("--host", default="127.0.0.1")
        one.add_argument("--port", type=int, default=5555)

    one = verb("hint", "student.hint", "the next hint for a step, one more each time")
    one.add_argument("step", metavar="LAB.STEP")

    one = verb("reset", "student.reset", "begin a lab anew; what you wrote is kept beside it")
    one.add_argument("lab", metavar="LAB")

    one = verb("trace", "trace.trace", "draw where a program's threads wait, and for whom, in a small scene")
    one.add_argument("lab", nargs="?", metavar="LAB", help="1, say; without it the lab you are at")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--target", metavar="CMD", help="any program instead; {host} and {port} are filled in")
    which.add_argument("--solution", action="store_true", help=if_whole("the reference solution"))
    one.add_argument("-o", dest="output", metavar="FILE.svg", help="draw it into a file, too")
    one.add_argument("--calls", action="store_true", help="print each call, with what it returned and how long it took")
    tier(one)

    one = verb("proxy", "proxy.proxy", "pass connections on to a server, late, slowly, in pieces, or not to the end")
    one.add_argument("listen", metavar="LISTEN", help="PORT or HOST:PORT where clients connect; port 0 is a free one")
    one.add_argument("to", metavar="SERVER", help="PORT or HOST:PORT of the server")
    one.add_argument("--delay", type=float, default=0, metavar="MS", help="milliseconds that each segment is late")
    one.add_argument("--jitter", type=float, default=0, metavar="MS", help="at most so much later, at random")
    one.add_argument("--chunk", type=int, default=0, metavar="BYTES", help="cut into segments of so many bytes")
    one.add_argument("--pause", type=float, metavar="MS", help="between two segments (with --chunk 2, else 0)")
    one.add_argument("--rate", type=float, default=0, metavar="BYTES", help="a slow line: so many bytes a second")
    one.add_argument("--reset-after", type=int, metavar="BYTES", help="reset the connection after so many bytes")
    one.add_argument(
        "--reset-chance", type=float, default=0, metavar="P", help="reset it at a segment, with this chance"
    )
    one.add_argument("--only", choices=["there", "back"], default="", help="all this on the way to the server, or back")
    one.add_argument("--seed", type=int, default=1, help="of what is random (%(default)s)")
    one.add_argument("--show", action="store_true", help="print every segment")

    one = verb("capture", "trace.capture", "write the packets between a server and its clients into a file")
    one.add_argument("lab", nargs="?", metavar="LAB", help="a server's lab; without it the lab you are at")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--target", metavar="CMD", help="any server instead; {host} and {port} are filled in")
    which.add_argument("--solution", action="store_true", help=if_whole("the reference solution"))
    one.add_argument("-o", dest="output", metavar="FILE.pcapng", required=True, help="for Wireshark")
    one.add_argument(
        "--how",
        choices=["best", "network", "proxy"],
        default="best",
        help="network: the packets themselves (Linux); proxy: made from what passes one, anywhere (%(default)s)",
    )
    tier(one)

    one = verb("grade", "grade.grade", "grade a class: hand-ins in, marks, feedback and a page about the class out")
    one.add_argument("folder", metavar="FOLDER", help="the hand-ins: a folder, zip or tar, as the platform gives it")
    one.add_argument("-o", dest="output", metavar="OUT", required=True, help="where everything is written")
    one.add_argument(
        "--labs", dest="chosen", default="1-9", metavar="LIST", help="which labs, such as 6, or 1-4,6 (%(default)s)"
    )
    one.add_argument("--roster", metavar="CSV", help="who is in the class: names are mapped, who is missing is listed")
    one.add_argument("--layout", metavar="NAME", help="canvas, moodle, gradescope, github or plain (else recognised)")
    one.add_argument("--course", metavar="TOML", help="weights, deadlines and what lateness costs")
    one.add_argument("--hidden", metavar="DIR", help="further checks, which students do not get to know")
    one.add_argument("--repeat", type=int, default=1, metavar="N", help="make each check N times")
    one.add_argument(
        "--rule", choices=["all", "majority"], default="all", help="how many of these have to hold (%(default)s)"
    )
    one.add_argument("--own-deps", action="store_true", help="each student's own modules of the labs not graded")
    one.add_argument("--seed", type=int, help="of everything random, for everybody (default: a new one, printed)")
    one.add_argument("--seconds", type=float, default=900, help="for one lab of one hand-in (%(default)s)")
    one.add_argument("--interop", action="store_true", help="everybody's chat client with everybody's chat server")
    one.add_argument("--resume", action="store_true", help="go on with a grading; grade what has changed since")
    one.add_argument("-j", dest="workers", type=int, metavar="N", help="hand-ins at a time (default: one a core)")
    one.add_argument("--scheduler", metavar="ADDRESS", help="do the work on a Dask cluster")
    tier(one, "best")
    one.add_argument("--trust-everybody", action="store_true", help="grade in the tier plain where there is no better")

    one = verb("bench", "bench.bench", "load servers with more and more clients, check every answer, draw the figures")
    one.add_argument("labs", nargs="*", metavar="LAB", help="labs, in one picture: 1 3, or 4 6, or all of them")
    one.add_argument("--target", metavar="CMD", action="append", default=[], help="a further server; may be repeated")
    one.add_argument(
        "--kind", choices=["echo", "chat"], default="echo", help="what a --target is when no lab is named (%(default)s)"
    )
    tier(one)
    beside = ", beside the reference solutions" if whole else " (this copy of the kit has no others)"
    one.add_argument("--own", action="store_true", help=f"your own labs{beside}")
    one.add_argument("--scenario", metavar="NAME", help="what the clients do (without it: what fits the servers)")
    one.add_argument("--clients", metavar="LIST", help="numbers of clients, such as 1,10,100")
    one.add_argument(
        "--rate",
        metavar="LIST",
        help="open loop: so many a second, answered or not; several are a sweep over the rate",
    )
    one.add_argument("--talkers", type=int, metavar="N", help="of a chat: how many of them talk (5)")
    one.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any other value of the scenario; may be repeated",
    )
    one.add_argument("--duration", type=float, default=0.5, metavar="SECONDS", help="of one measurement (%(default)s)")
    one.add_argument("--warm-up", type=float, default=0.1, metavar="SECONDS", help="not measured (%(default)s)")
    one.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="rounds, of which the median counts (%(default)s)"
    )
    one.add_argument("--seed", type=int, default=1, help="of what is chosen at random (%(default)s)")
    one.add_argument("--generators", type=int, metavar="N", help="processes that make the load (one less than cores)")
    one.add_argument("--scheduler", metavar="ADDRESS", help="make the load on the workers of a Dask cluster")
    one.add_argument("--host", default="127.0.0.1", help="where servers listen (%(default)s)")

    one = verb("export", "export.export", "the marks of a class as other systems read them")
    formats = ["gradescope", "classroom50", "prairielearn", "canvas", "moodle", "brightspace", "junit", "csv", "json"]
    graders = ["gradescope-autograder", "classroom50-autograder"]
    one.add_argument("format", metavar="FORMAT", choices=[*formats, *graders], help=", ".join([*formats, *graders]))
    one.add_argument("run", nargs="?", metavar="RUN", help="the folder that was graded (graders need none)")
    one.add_argument("-o", "--output", metavar="FILE", help="without it, beside the marks")
    one.add_argument("--force", action="store_true", help="write over what is there")
    one.add_argument("--lab", metavar="LAB", help="this lab alone")
    one.add_argument("--student", metavar="WHO", help="this student alone: a key, id, login, email or name")
    one.add_argument(
        "--title",
        metavar="LAB=TITLE",
        action="append",
        default=[],
        help="what the platform calls a lab; may be repeated",
    )
    one.add_argument("--out-of", type=float, metavar="N", help="all points of a lab are N on the platform")
    one.add_argument("--worksheet", metavar="FILE", help="of moodle: the grading worksheet that is filled in")
    one.add_argument("--grade-column", metavar="HEADING", default="", help="of the worksheet, where it is not certain")

    one = verb("autograde", "autograde.autograde", "check one hand-in, results in the form of a platform")
    one.add_argument("lab", metavar="LAB")
    one.add_argument("folder", metavar="FOLDER", help="with the files that were handed in")
    one.add_argument("--format", choices=["gradescope", "classroom50", "prairielearn"], default="gradescope")
    one.add_argument("-o", "--output", metavar="FILE", default="results.json", help="(%(default)s)")
    one.add_argument("--seconds", type=float, default=480, metavar="N", help="no check begins later (%(default)s)")
    tier(one)
    one.set_defaults(tier="best")

    one = verb("similarity", "similarity.similarity", "which hand-ins share more code than their class does anyway")
    one.add_argument("folder", metavar="FOLDER", help="the hand-ins: a folder, zip or tar, as the platform gives it")
    one.add_argument("--roster", metavar="CSV", help="who is in the class: names are mapped")
    one.add_argument("--layout", metavar="NAME", help="canvas, moodle, gradescope, github or plain (else recognised)")
    one.add_argument("--threshold", type=float, metavar="SCORE", help="tell pairs from there on (found from the class)")
    one.add_argument("--top", type=int, default=50, metavar="N", help="tell so many pairs at most (%(default)s)")
    one.add_argument("--solutions", action="store_true", help="compare with the reference solutions as well")
    one.add_argument(
        "--handed-out",
        metavar="FOLDER",
        action="append",
        default=[],
        help="further code that everybody was given; may be repeated",
    )

    verb("demo", "demo.demo", "everything in one go: check every solution, load them, and say what to see")

    one = verb("test", "kit.test", "the kit's own tests (what follows is handed to pytest)")
    one.set_defaults(arguments=[])

    one = verb("notebook", "notebook.notebook", "sockets, seen: open the notebooks in JupyterLab")
    one.add_argument("number", nargs="?", metavar="NUMBER", help="open this one")
    one.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    one.set_defaults(arguments=[])

    one = verb("build", "kit.build", "make the stubs in labs/ from solutions/, and the notebooks from their sources")
    one.add_argument("--check", action="store_true", help="only say whether they agree")

    one = verb("release", "release.release", "make the copy of the kit that students get: nothing in it is an answer")
    one.add_argument(
        "-o",
        dest="target",
        metavar="FOLDER|FILE.zip",
        default="socket-lab-kit.zip",
        help="what to write; a zip if it ends so (%(default)s)",
    )
    one.add_argument("--labs", dest="chosen", metavar="LIST", help="only these labs, such as 1-3,7")
    one.add_argument("--force", action="store_true", help="replace an earlier release of this name")

    one = verb("site", "site.site", "handouts, protocol, notes for teachers and the reference as web pages")
    one.add_argument("-o", dest="target", metavar="FOLDER", default="site", help="where they are written (%(default)s)")
    one.add_argument("--students", action="store_true", help="what students get: no notes for teachers")
    one.add_argument("--force", action="store_true", help="replace an earlier site of this name")

    verb("doctor", "kit.doctor", "what this machine offers, and what to install")
    return top


def helps(for_students: bool = False) -> dict[str, str]:
    """Return the help of each verb, as wide as a page; for students, of those that their copy of the kit has."""
    os.environ["COLUMNS"] = "100"  # argparse asks for the width of a terminal
    verbs = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    left_out = FOR_TEACHERS | FOR_GRADERS if for_students else set()
    found = verbs.choices.items()
    return {name: one.format_help() for name, one in found if one.get_default("verb") not in left_out}


def let_everything_be_printed() -> None:
    """Write UTF-8 into files and pipes whose encoding lacks our signs (Windows), and `?` on such a terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
            if not stream.isatty() and "✓".encode(stream.encoding, errors="ignore") == b"":
                stream.reconfigure(encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit status."""
    let_everything_be_printed()
    words = list(sys.argv[1:] if arguments is None else arguments)
    top = parser()
    args, further = top.parse_known_args(words)
    if further and not hasattr(args, "arguments"):
        top.error(f"unrecognized arguments: {' '.join(further)}")
    args.arguments = further
    module, function = args.verb.split(".")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that programs under test are ended on the way out
    try:
        if args.verb in withheld():
            import_module("harness.commands.choose").need_solutions()
        status: int = getattr(import_module(f"harness.commands.{module}"), function)(args)
    except UsageError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlab: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `lab check | head`
        sys.stderr.close()
        return 1
    return status
