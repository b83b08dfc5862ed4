"""A story as the text of a Mermaid sequence diagram, for wherever Markdown is read."""

import string

from harness.report.safe import safe
from harness.report.sequence.story import Look, Step, Story

PLAIN = frozenset(string.ascii_letters + string.digits + " .,!?()/_+*=@|~^-'…✗")
MOST = 120  # characters of one label
ARROWS = {
    Look.CONNECT: "-)",
    Look.REFUSED: "--x",
    Look.DATA: "->>",
    Look.FIN: "-->>",
    Look.RST: "-x",
    Look.FAILED: "--)",
}
RED = "rect rgb(255, 228, 225)"


def mermaid(story: Story) -> str:
    """Return a story as the text of a Mermaid diagram."""
    lines = [f"participant {_id(place)} as {_label(one.name)}" for place, one in enumerate(story.participants)]
    for step in story.steps:
        lines += _lines(step, story)
    return "\n".join(["sequenceDiagram", *(f"    {line}" for line in lines)]) + "\n"


def _id(place: int) -> str:
    return f"p{place}"


def _lines(step: Step, story: Story) -> list[str]:
    everybody = f"{_id(0)},{_id(len(story.participants) - 1)}"
    when = "" if step.seconds is None else f"{1000 * step.seconds:.1f} ms"
    arrow = f"{_id(step.start)}{ARROWS.get(step.look, '')}{_id(step.end)}: "
    if step.look is Look.FAILED:
        assert story.failure is not None
        failure = story.failure
        told = [when, f"✗ {failure.message}"]
        if failure.expected or failure.received:
            told += [f"expected {failure.expected}", f"received {failure.received or 'nothing'}"]
        due = [f"{arrow}{_label('✗ was due here:', step.words)}"] if step.start != step.end else []
        return [RED, *(f"    {line}" for line in [*due, f"Note over {_id(step.end)}: {_told(told)}"]), "end"]
    if step.look in (Look.GAP, Look.SKIPPED):
        return [f"Note over {everybody}: {_label(step.words)}"]
    if step.look in (Look.NOTE, Look.MORE):
        over = _id(step.start) if step.start == step.end else f"{_id(step.start)},{_id(step.end)}"
        return [f"Note over {over}: {_told([when, step.words])}"]
    name = f"{step.name}:" * bool(step.name)
    drawn = arrow + _label("✗" * step.wrong, name, step.data, step.words, f"[{when}]" * bool(when))
    return [RED, f"    {drawn}", "end"] if step.wrong else [drawn]


def _told(lines: list[str]) -> str:
    return "<br/>".join(_label(line) for line in lines if line)


def _label(*texts: str) -> str:
    """Return texts as one label: what means something to Mermaid is written as the number of its character."""
    words = [" ".join(safe(text).split()) for text in texts if text]
    text = " ".join(word if len(word) <= MOST else f"{word[: MOST - 1]}…" for word in words)
    return "".join(char if char in PLAIN else f"#{ord(char)};" for char in text or "?")
