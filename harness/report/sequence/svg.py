"""A story as SVG: text of our own, that loads nothing and runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape

from harness.report.difference import difference
from harness.report.safe import safe
from harness.report.sequence.story import Look, Participant, Step, Story
from harness.report.sequence.text import columns, cut, fitted, wrapped

WIDTH = 940  # all lengths are pixels
CLOCK = 70  # the column of the times
EDGE = 6
TOP, HEAD = 6, 42  # of the boxes with the names
FONT, CHAR, LINE = 12, 7.25, 15  # the size of the letters; the width and the height of one
DATA_LINES = 3  # that the bytes of one step may take
MOST_LINES = 4  # of anything else
SPANS = 34  # the height of a gap

# Colours that stay apart for the colour-blind, and on white; nothing is told by a colour alone.
INK, FAINT, PALE = "#1b1f24", "#59636e", "#c3cad1"
ASKS, ANSWERS, FAILS = "#0b5f8a", "#5a165a", "#b42318"
MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
SANS = "system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif"
DASHED = {Look.RST: "7 4", Look.REFUSED: "2 4", Look.FAILED: "2 4"}


def svg(story: Story, title: str, name: str = "") -> str:
    """Draw a story, `WIDTH` pixels wide; `name` (letters, digits, hyphens) tells several drawings of a page apart."""
    drawing = _Drawing(story)
    for step in story.steps:
        drawing.add(step)
    height = round(drawing.y + 14)
    lines = drawing.life_lines(height - 4)
    marks = [escaped(f"sequence-{name}-{part}") for part in ("title", "text")]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{marks[0]} {marks[1]}" '
            f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="{MONO}" '
            f'font-size="{FONT}" fill="{INK}" style="white-space: pre; color-scheme: light">',
            f'<title id="{marks[0]}">{escaped(title)}</title>',
            f'<desc id="{marks[1]}">{escaped(_described(story))}</desc>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *lines,
            *drawing.parts,
            "</svg>\n",
        ]
    )


def escaped(text: str) -> str:
    """Return a text as it may stand inside of an element or an attribute."""
    return escape(safe(" ".join(text.splitlines()).replace("\t", " ")))


def _described(story: Story) -> str:
    who = ", ".join(one.name for one in story.participants)
    arrows = sum(step.start != step.end for step in story.steps)
    told = f"A sequence diagram of {who}, with {arrows} arrows, time running down."
    if failure := story.failure:
        told += f" It ends where the check failed: {failure.message}."
        told += f" Expected: {failure.expected}." if failure.expected else ""
        told += f" Received: {failure.received or 'nothing'}." if failure.expected or failure.received else ""
    return told


@dataclass
class _Drawing:
    """What has been drawn so far, down to `y`."""

    story: Story
    parts: list[str] = field(default_factory=list)
    y: float = TOP + HEAD + 4
    _open: dict[int, float] = field(default_factory=dict)  # since where the connection of a participant stands
    _over: list[tuple[int, float, float]] = field(default_factory=list)  # connections that are over: from, to
    _gone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lane = (WIDTH - CLOCK - EDGE) / len(self.story.participants)
        self._places = [CLOCK + self._lane * (place + 0.5) for place in range(len(self.story.participants))]
        self._text(CLOCK - 12, TOP + HEAD - 6, "ms", FAINT, "end")
        for place, participant in zip(self._places, self.story.participants, strict=True):
            self._head(place, participant)

    def add(self, step: Step) -> None:
        """Draw one more step below the others."""
        if step.look is Look.FAILED:
            self._failed(step)
        elif step.look in (Look.GAP, Look.SKIPPED):
            self._gap(step)
        elif step.start == step.end:
            self._note(step)
        elif step.look is Look.MORE:
            self._more(step)
        else:
            self._arrow(step)

    def life_lines(self, bottom: float) -> list[str]:
        """Return the line of each participant down to `bottom`, thick where it has a connection."""
        lines = [
            f'<path d="M{x:.1f} {TOP + HEAD}V{bottom:.1f}" stroke="{PALE}" stroke-width="1.5"/>' for x in self._places
        ]
        spans = [*self._over, *((place, since, bottom) for place, since in self._open.items())]
        for place, since, until in spans:
            lines.append(
                f'<path d="M{self._places[place]:.1f} {since:.1f}V{until:.1f}" stroke="{PALE}" stroke-width="7"/>'
            )
        return lines

    # The steps

    def _arrow(self, step: Step) -> None:
        colour = FAILS if step.wrong else ANSWERS if self.story.participants[step.start].tested else ASKS
        self.y += 6
        self._label(step, colour)
        self.y += 7
        self._line(step.start, step.end, step.look, colour, 2.6 if step.wrong else 1.6)
        self._time(step)
        self._note_connection(step)
        self.y += 5

    def _label(self, step: Step, colour: str) -> None:
        """Write what an arrow carries above it: the bytes give way, not their number."""
        left = min(self._places[step.start], self._places[step.end]) + 14
        room = self._room(step)
        words = safe(step.words)
        data = " ".join(filter(None, ("✗" * step.wrong, safe(f"{step.name}:") * bool(step.name), safe(step.data))))
        faint = colour if step.wrong else INK
        lines = [[(line, colour)] for line in cut(fitted(data, DATA_LINES * room), room)]
        if lines and columns(lines[-1][0][0]) + 1 + columns(words) <= room:
            lines[-1].append((f" {words}", faint))
        else:
            lines += [[(line, faint)] for line in wrapped(words, room)[:MOST_LINES]]
        for line in lines:
            self.y += LINE
            self._spans(left, self.y, line)

    def _room(self, step: Step) -> int:
        return int((abs(self._places[step.end] - self._places[step.start]) - 26) / CHAR)

    def _line(self, start: int, end: int, look: Look, colour: str, width: float) -> None:
        """Draw an arrow; how it ends tells a reset, an end and the beginning of a connection from bytes."""
        right = 1 if self._places[end] > self._places[start] else -1
        x0, x1, y = self._places[start] + 5 * right, self._places[end] - 6 * right, self.y
        stroke = f'stroke="{colour}" stroke-width="{width}" fill="none"'
        dashes = f' stroke-dasharray="{DASHED[look]}"' if look in DASHED else ""
        self.parts.append(f'<path d="M{x0:.1f} {y:.1f}H{x1 - 3 * right:.1f}" {stroke}{dashes}/>')
        head = f"M{x1 - 9 * right:.1f} {y - 5:.1f}L{x1:.1f} {y:.1f}L{x1 - 9 * right:.1f} {y + 5:.1f}"
        if look in (Look.RST, Look.REFUSED):
            self._cross(x1 - 7 * right, y, 6, colour)
        elif look in (Look.CONNECT, Look.FAILED):
            self.parts.append(f'<path d="{head}" {stroke}/>')
        else:
            self.parts.append(f'<path d="{head}Z" fill="{colour}"/>')
        if look is Look.FIN:
            self.parts.append(f'<path d="M{x1 - 12 * right:.1f} {y - 7:.1f}v14" {stroke.replace("1.6", "3")}/>')

    def _cross(self, x: float, y: float, half: float, colour: str) -> None:
        a, b, c, d = x - half, y - half, x + half, y + half
        path = f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}M{a:.1f} {d:.1f}L{c:.1f} {b:.1f}"
        self.parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="2.6"/>')

    def _more(self, step: Step) -> None:
        self.y += LINE + 4
        left = min(self._places[step.start], self._places[step.end]) + 14
        self._spans(left, self.y, [(fitted(f"⋮ {safe(step.words)}", self._room(step)), FAINT)])
        self._time(step)
        self.y += 2

    def _note(self, step: Step) -> None:
        room = min(self._lane, 300) - 8
        lines = wrapped(safe(step.words), int((room - 16) / CHAR))[:MOST_LINES]
        width = max(map(columns, lines), default=0) * CHAR + 16
        x, self.y = self._places[step.start], self.y + 8
        height = LINE * len(lines) + 8
        self.parts.append(
            f'<rect x="{x - width / 2:.1f}" y="{self.y:.1f}" width="{width:.1f}" height="{height}" rx="4" '
            f'fill="#f3f6fa" stroke="{FAINT}"/>'
        )
        self._time(step, self.y + height / 2)
        for line in lines:
            self.y += LINE
            self._text(x, self.y, line, INK, "middle")
        self.y += 10

    def _gap(self, step: Step) -> None:
        """Interrupt all lines: here is less than there was."""
        self.y += 4
        self.parts.append(f'<rect x="0" y="{self.y:.1f}" width="{WIDTH}" height="{SPANS}" fill="#ffffff"/>')
        for x in self._places:
            self.parts.append(
                f'<path d="M{x:.1f} {self.y + 2:.1f}v{SPANS - 4}" stroke="{FAINT}" stroke-width="2" '
                'stroke-dasharray="2 5"/>'
            )
        self.y += SPANS
        self._text((CLOCK + WIDTH - EDGE) / 2, self.y - SPANS / 2 + 4, safe(step.words), FAINT, "middle", True)

    def _failed(self, step: Step) -> None:
        """Mark the failing point: on the line of whom it happened to, and in a box below it."""
        failure = self.story.failure
        assert failure is not None
        if step.start != step.end:
            self.y += 6
            self._label(replace(step, words="was due here", data=step.words, wrong=True), FAILS)
            self.y += 7
            self._line(step.start, step.end, step.look, FAILS, 1.6)
        self.y += 12 if step.start == step.end else 0
        x, y = self._places[step.end], self.y
        self._time(step)
        room = int((WIDTH - CLOCK - EDGE - 28) / CHAR)
        shown = difference(failure.expected, failure.received, failure.difference)
        lines = [(line, FAILS, True) for line in wrapped(f"✗ {safe(failure.message)}", room)[:MOST_LINES]]
        lines += [(fitted(line, room), FAILS if red else INK, False) for line, red in _one_line_each(shown)]
        top, height = y + 22, LINE * len(lines) + 14
        self.parts.append(
            f'<path d="M{x:.1f} {y:.1f}V{top:.1f}" stroke="{FAILS}" stroke-width="2.6"/>'
            f'<rect x="{CLOCK}" y="{top:.1f}" width="{WIDTH - CLOCK - EDGE}" height="{height}" rx="5" '
            f'fill="#fff4f2" stroke="{FAILS}" stroke-width="2.6"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10" fill="#ffffff" stroke="{FAILS}" stroke-width="2.6"/>'
        )
        self._cross(x, y, 4.5, FAILS)
        self.y = top + 5
        for text, colour, bold in lines:
            self.y += LINE
            self._text(CLOCK + 14, self.y, text, colour, bold=bold)
        self.y = top + height

    # What steps are made of

    def _head(self, x: float, participant: Participant) -> None:
        half = min(self._lane - 12, 170) / 2
        fill, ink, faint = (INK, "#ffffff", "#dfe4e9") if participant.tested else ("#ffffff", INK, FAINT)
        self.parts.append(
            f'<rect x="{x - half:.1f}" y="{TOP}" width="{2 * half:.1f}" height="{HEAD}" rx="5" fill="{fill}" '
            f'stroke="{INK}" stroke-width="1.5"/>'
            f'<text font-family="{SANS}" text-anchor="middle" x="{x:.1f}" y="{TOP + 18}" font-size="14" '
            f'font-weight="bold" fill="{ink}">{escaped(fitted(safe(participant.name), int(2 * half / 9)))}</text>'
            f'<text font-family="{SANS}" text-anchor="middle" x="{x:.1f}" y="{TOP + 34}" font-size="11" '
            f'fill="{faint}">{escaped(participant.is_who)}</text>'
        )

    def _note_connection(self, step: Step) -> None:
        """Keep in mind from where to where a peer has a connection."""
        peer = step.end if self.story.participants[step.start].tested else step.start
        if self.story.participants[peer].name in ("user", "others"):
            return
        if peer not in self._open and (step.look is Look.CONNECT or peer not in self._gone) and not step.leaves:
            self._open[peer] = self.y
        if step.leaves:
            self._over.append((peer, self._open.pop(peer, self.y), self.y))
            self._gone.add(peer)

    def _time(self, step: Step, y: float | None = None) -> None:
        if step.seconds is not None:
            self._text(CLOCK - 12, (self.y if y is None else y) + 4, f"{1000 * step.seconds:.1f}", FAINT, "end")

    def _spans(self, x: float, y: float, parts: Sequence[tuple[str, str]]) -> None:
        """Write a line of several colours, legible also where it crosses other lines."""
        inside = "".join(f'<tspan fill="{colour}">{escaped(text)}</tspan>' for text, colour in parts if text)
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" stroke="#ffffff" stroke-width="4" stroke-linejoin="round" '
            f'paint-order="stroke" xml:space="preserve">{inside}</text>'
        )

    def _text(self, x: float, y: float, text: str, colour: str, anchor: str = "start", bold: bool = False) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight} '
            f'xml:space="preserve">{escaped(text)}</text>'
        )


def _one_line_each(lines: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
    """Return lines of text, and whether they are red."""
    return [(" ".join(text.splitlines()), style == "red") for style, text in lines]
