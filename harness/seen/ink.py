"""A small sheet to draw on, which becomes SVG: text that loads nothing and runs nothing."""

from dataclasses import dataclass, field
from html import escape

from harness.report.safe import safe
from harness.report.sequence.svg import FAINT, INK, MONO, PALE, SANS

WIDTH = 860  # all lengths are pixels
WAITS, WORKS, PASSES, WRONG = "#ce3b3b", "#007aa3", "#5a165a", "#b42318"  # apart for the colour-blind, too
HATCH = (
    '<defs><pattern id="waits" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" fill="#fbeaea"/>'
    f'<path d="M0 0V7" stroke="{WAITS}" stroke-width="2.2"/></pattern></defs>'
)

__all__ = ["FAINT", "INK", "PALE", "PASSES", "WAITS", "WIDTH", "WORKS", "WRONG", "Sheet"]


@dataclass
class Sheet:
    """What has been drawn so far; y grows downwards."""

    title: str
    top: float = 44
    parts: list[str] = field(default_factory=list)

    def rect(self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> None:
        """Draw a rectangle; `waits` as its fill is the pattern of waiting."""
        fill = "url(#waits)" if fill == "waits" else fill
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" fill="{fill}" '
            f'stroke="{stroke}"/>'
        )

    def line(
        self, x: float, y: float, to_x: float, to_y: float, colour: str, width: float = 1.5, dash: str = ""
    ) -> None:
        """Draw a straight line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{colour}" stroke-width="{width}"{dashes}/>'
        )

    def dot(self, x: float, y: float, colour: str, radius: float = 4) -> None:
        """Draw a dot."""
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def arrow(self, x: float, y: float, to_x: float, to_y: float, colour: str, dash: str = "") -> None:
        """Draw an arrow that goes mostly sideways."""
        back = 9 if to_x < x else -9
        self.line(x, y, to_x + back / 2, to_y, colour, 1.8, dash)
        head = f"M{to_x + back:.1f} {to_y - 5:.1f}L{to_x:.1f} {to_y:.1f}L{to_x + back:.1f} {to_y + 5:.1f}Z"
        self.parts.append(f'<path d="{head}" fill="{colour}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str = INK,
        anchor: str = "start",
        size: float = 13,
        mono: bool = False,
        bold: bool = False,
    ) -> None:
        """Write one line of text; y is its base line."""
        font = f' font-family="{MONO}"' if mono else ""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"{font}{weight} '
            f'xml:space="preserve">{escape(safe(text))}</text>'
        )

    def svg(self, bottom: float) -> str:
        """Return the sheet, cut off at `bottom`."""
        height = round(bottom)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="{SANS}" fill="{INK}" style="color-scheme: light">'
        )
        title = escape(safe(self.title))
        named = f'<text x="12" y="26" font-size="16" font-weight="bold">{title}</text>'
        body = [head, f"<title>{title}</title>", HATCH, f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', named]
        return "\n".join([*body, *self.parts, "</svg>\n"])
