"""`lab trace`: where a server waits, and for whom, as a picture."""

import argparse
from pathlib import Path

from rich.text import Text

from harness.commands.choose import LAB, limits_of, program_of, shown, tier_of, whole_lab
from harness.errors import UsageError
from harness.launch import LaunchError
from harness.report.terminal import console, say, status_line
from harness.report.timeline.svg import svg
from harness.report.timeline.terminal import call_lines, lines
from harness.report.timeline.timeline import timeline
from harness.results import write_whole
from harness.trace import NotServing, TraceError
from harness.trace import trace as traced_server
from harness.trace.scenes import SCENES

WIDEST = 120  # columns


def trace(args: argparse.Namespace) -> int:
    """Play the scene, and draw what was seen."""
    lab, out = whole_lab(args.lab), console()
    if args.output and not args.output.endswith(".svg"):
        raise UsageError(f"-o {args.output}: the picture is an SVG; give it a name that ends in .svg")
    if args.output and not Path(args.output).absolute().parent.is_dir():
        raise UsageError(f"-o {args.output}: there is no such folder; make it first, or choose another one")
    if lab.kind not in SCENES:
        raise UsageError(f"lab {lab.number} is about a {lab.kind}, and only servers can be traced: {LAB} trace 1, say")
    command = program_of(lab, args.target, args.solution)
    try:
        seen = traced_server(command, lab.kind, tier_of(args.tier), limits_of(lab))
    except NotServing as fault:
        say(out, status_line(False, f"{fault}; `{LAB} check {lab.number}` tells what it lacks"))
        return 1
    except (TraceError, LaunchError) as error:
        raise UsageError(str(error)) from None
    told, name = timeline(seen), args.target or shown(command.folder / lab.program)
    say(out, Text(f"{name}, and {seen['clients']} clients", "bold"))
    say(out)
    for line in lines(told, min(out.width, WIDEST)):
        say(out, Text.assemble(*((text, style) for style, text in line)))
    say(out)
    for sentence in told.sentences:
        say(out, sentence)
    if args.calls:
        say(out)
        for text in call_lines(seen["calls"]):
            say(out, text)
    if args.output:
        write_whole(Path(args.output), svg(told, f"What {name} was doing"))
        say(out, f"The picture is {shown(Path(args.output).absolute())}")
    return 0
