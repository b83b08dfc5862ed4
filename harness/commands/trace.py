"""`lab trace` and `lab capture`: a server among a few clients, its threads as a picture, its packets as a file."""

import argparse
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.capture import How
from harness.capture import capture as capture_server
from harness.commands.choose import limits_of, program_of, shown, tier_of, whole_lab
from harness.course import Lab
from harness.errors import UsageError
from harness.launch import LaunchError
from harness.report.terminal import console, say, status_line
from harness.report.timeline.svg import svg
from harness.report.timeline.terminal import call_lines, lines
from harness.report.timeline.timeline import timeline
from harness.results import write_whole
from harness.shell import LAB
from harness.trace import NotServing, TraceError
from harness.trace import trace as traced_server
from harness.trace.scenes import SCENES
from harness.units import number

WIDEST = 120  # columns
OTHERS = {"client": "a server and a user"}


def trace(args: argparse.Namespace) -> int:
    """Play the scene, and draw what was seen."""
    out = console()
    lab = whole_lab(args.lab)
    command = program_of(lab, args.target, args.solution)
    if args.output:
        _need_writable(args.output, ".svg", "the picture is an SVG")
    with _told(lab, out) as failed:
        seen = traced_server(command, lab.kind, tier_of(args.tier), limits_of(lab))
    if failed:
        return 1
    told, name = timeline(seen), args.target or shown(command.folder / lab.program)
    say(out, Text(f"{name}, and {OTHERS.get(lab.kind, str(seen['others']) + ' clients')}", "bold"))
    say(out)
    for line in lines(told, min(out.width, WIDEST)):
        say(out, Text.assemble(*((text, style) for style, text in line)))
    say(out)
    for sentence in told.sentences:
        say(out, sentence)
    for fault in told.faults:
        say(out, status_line(False, fault))
    if args.calls:
        say(out)
        for text in call_lines(seen["calls"]):
            say(out, text)
    if args.output:
        write_whole(Path(args.output), svg(told, f"What {name} was doing"))
        say(out, f"The picture is {shown(Path(args.output).absolute())}")
    return int(bool(told.faults))


def capture(args: argparse.Namespace) -> int:
    """Play the scene, and write every packet of it into a file."""
    out = console()
    lab = whole_lab(args.lab)
    if lab.kind not in SCENES:
        raise UsageError(f"lab {lab.number} is about a {lab.kind}, and this is for servers only: lab 1, say")
    command = program_of(lab, args.target, args.solution)
    _need_writable(args.output, ".pcapng", "the packets are written as pcapng")
    file = io.BytesIO()
    how = None if args.how == "best" else How(args.how)
    with _told(lab, out) as failed:
        seen = capture_server(command, lab.kind, file, how, tier_of(args.tier), limits_of(lab))
    if failed:
        return 1
    write_whole(Path(args.output), file.getvalue())
    say(out, f"{shown(Path(args.output).absolute())}: {number(seen.packets)} packets of {seen.clients} clients")
    say(out, SEEN[seen.how] + f" {number(seen.dropped)} packets could not be taken." * bool(seen.dropped))
    return 0


def _need_writable(output: str, ending: str, what: str) -> None:
    if not output.endswith(ending):
        raise UsageError(f"-o {output}: {what}; give it a name that ends in {ending}")
    if not Path(output).absolute().parent.is_dir():
        raise UsageError(f"-o {output}: there is no such folder; make it first, or choose another one")


@contextmanager
def _told(lab: Lab, out: Console) -> Iterator[list[str]]:
    """Tell what goes wrong in the block; what it yields is empty unless the program is to blame."""
    faults: list[str] = []
    try:
        yield faults
    except NotServing as fault:
        faults.append(str(fault))
        say(out, status_line(False, f"{fault}; `{LAB} check {lab.number}` tells what it lacks"))
    except (TraceError, LaunchError) as error:
        raise UsageError(str(error)) from None


SEEN = {
    How.NETWORK: "They are the packets themselves, seen in a network of its own in which there was nobody else.",
    How.PROXY: "They were made from what passed a proxy in between: bytes, order, times and ends are what was seen, "
    "the headers are made to fit.",
}
