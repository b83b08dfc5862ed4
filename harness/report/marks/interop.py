"""Who gets on with whom, as a picture: a row for each server, a column for each client; SVG of our own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import mean

from harness.marks import REFERENCE, InteropMap, Meeting
from harness.report.safe import one_line

ROOM, GAP = 760, 1  # pixels: of the longer side's cells together, and between them
LARGEST, SMALLEST = 22, 3  # pixels of a cell
NAMED = 12  # pixels: cells that large bear names
LABEL, CHARACTER = 18, 6.6  # characters of a name, and pixels of a character
INK, EDGE, NOT_MET = "#1b1f24", "#c3cad1", "#ffffff"
SHADES = ("#7f2704", "#d4692b", "#f3bd8a", "#8fc1e3")  # nothing, less than half, half and more, all
WORDS = ("it does not even begin", "less than half of it", "half of it or more", "all of it")
WORST = 8


@dataclass(frozen=True)
class Side:
    """One program, and how it gets on."""

    key: str
    name: str
    share: float  # of the scenes of all its meetings, 0 to 1
    through: int  # meetings in which all held
    meetings: int
    first: str  # what goes wrong most often


def sides(found: InteropMap) -> tuple[list[Side], list[Side]]:
    """Return the servers and the clients, the best first; the reference leads."""
    servers = [_side(found, key, found.of_server(key)) for key in (REFERENCE, *found.servers)]
    clients = [_side(found, key, found.of_client(key)) for key in (REFERENCE, *found.clients)]
    return sorted(servers, key=_rank), sorted(clients, key=_rank)


def _rank(side: Side) -> tuple[bool, float, str]:
    return side.key != REFERENCE, -side.share, side.name.casefold()


def _side(found: InteropMap, key: str, meetings: Sequence[Meeting]) -> Side:
    scenes = len(found.scenes)
    failed = [one.held for one in meetings if one.held < scenes]
    first = found.scenes[max(set(failed), key=lambda held: (failed.count(held), -held))] if failed else ""
    share = mean(one.held / scenes for one in meetings) if meetings else 0.0
    name = one_line(found.names.get(key, key), LABEL)
    return Side(key, name, share, len(meetings) - len(failed), len(meetings), first)


def worst(found: InteropMap) -> tuple[list[Side], list[Side]]:
    """Return the servers and the clients that get on worst; the reference is none of them."""
    servers, clients = sides(found)
    return _worst(servers), _worst(clients)


def _worst(of_a_kind: Sequence[Side]) -> list[Side]:
    return [one for one in reversed(of_a_kind) if one.key != REFERENCE and one.through < one.meetings][:WORST]


def heat_map(found: InteropMap) -> str:
    """Draw a cell for each meeting, the darker the earlier it broke off; the best rows and columns come first."""
    servers, clients = sides(found)
    cell = max(SMALLEST, min(LARGEST, ROOM // max(len(servers), len(clients))))
    left = round(LABEL * CHARACTER) + 8 if cell >= NAMED else 24
    top = left
    width, height = left + cell * len(clients) + 8, top + cell * len(servers) + 8
    rows = {side.key: place for place, side in enumerate(servers)}
    columns = {side.key: place for place, side in enumerate(clients)}
    edge = f"M{left} {top}h{cell * len(clients)}v{cell * len(servers)}H{left}z"
    parts = [
        f'<path d="{edge}" fill="{NOT_MET}" stroke="{EDGE}"/>',
        *(_named(servers, clients, left, top, cell) if cell >= NAMED else _axes(left, top)),
        *_cells(found, rows, columns, left, top, cell),
    ]
    whole = sum(one.held == len(found.scenes) for one in found.meetings)
    words = f"Of {len(found.meetings)} meetings of a client and a server all scenes held in {whole}."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def _cells(
    found: InteropMap, rows: Mapping[str, int], columns: Mapping[str, int], left: int, top: int, cell: int
) -> list[str]:
    """Draw the cells: each with a text of its own while they are large, else all of a shade in one path."""
    size = cell - GAP
    by_shade: dict[str, list[str]] = {shade: [] for shade in SHADES}
    titled = []
    for one in found.meetings:
        x, y = left + cell * columns[one.client], top + cell * rows[one.server]
        shade = SHADES[_class_of(one.held, len(found.scenes))]
        if cell < NAMED:
            by_shade[shade].append(f"M{x} {y}h{size}v{size}h-{size}z")
            continue
        names = (one_line(found.names.get(key, key), 60) for key in (one.client, one.server))
        words = "{}, client, with {}, server: ".format(*names) + _outcome(found, one)
        titled.append(
            f'<rect x="{x}" y="{y}" width="{size}" height="{size}" fill="{shade}"><title>{escape(words)}</title></rect>'
        )
    return [*titled, *(f'<path fill="{shade}" d="{"".join(path)}"/>' for shade, path in by_shade.items() if path)]


def _outcome(found: InteropMap, one: Meeting) -> str:
    if one.held == len(found.scenes):
        return "all of it"
    return f"{one.held} of {len(found.scenes)}, then: {found.scenes[one.held]} ({one_line(one.message, 160)})"


def _class_of(held: int, scenes: int) -> int:
    if held == scenes:
        return 3
    return 0 if not held else 1 + (2 * held >= scenes)


def _named(servers: Sequence[Side], clients: Sequence[Side], left: int, top: int, cell: int) -> list[str]:
    """Write the names at the rows and, turned, at the columns."""
    middle = cell / 2 + 3.5
    found = [
        _text(left - 6, top + cell * place + middle, side.name, "end", side.key == REFERENCE)
        for place, side in enumerate(servers)
    ]
    for place, side in enumerate(clients):
        x = left + cell * place + middle
        turned = _text(0, 0, side.name, "start", side.key == REFERENCE)
        found.append(f'<g transform="translate({x:.1f} {top - 6}) rotate(-90)">{turned}</g>')
    return found


def _axes(left: int, top: int) -> list[str]:
    turned = _text(0, 0, "servers, the best first", "end")
    return [
        _text(left, top - 8, "clients, the best first →", "start"),
        f'<g transform="translate({left - 8} {top}) rotate(-90)">{turned}</g>',
    ]


def _text(x: float, y: float, words: str, anchor: str, strong: bool = False) -> str:
    weight = ' font-weight="700"' if strong else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def legend() -> list[tuple[str, str]]:
    """Return the shades and what they mean, the best first."""
    return [*reversed(list(zip(SHADES, WORDS, strict=True))), (NOT_MET, "not tried")]
