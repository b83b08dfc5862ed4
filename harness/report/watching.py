"""What `lab watch` tells, in the panes of a terminal: steps, checks, what went wrong, and the program's output.

It is handed events, one after another, and knows nothing of where they come from.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from harness.report.difference import Line
from harness.report.evidence import advice, by_hand, causes, dialogue, fault, of_program
from harness.report.safe import safe
from harness.report.sequence.text import cut, fitted, wrapped
from harness.report.terminal import SIGNS

Event = dict[str, Any]
NARROWEST = 12  # columns of a pane


class WatchApp(App[None]):
    """The panes. `events` are taken in a thread until there are no more, which `stop` brings about.

    `hint` returns the next hint of a step.
    """

    CSS = """
    #state { height: 1; padding: 0 1; text-style: bold; }
    Grid { grid-size: 2 3; grid-columns: 1fr 2fr; grid-rows: 5fr 7fr 6fr; }
    #output { row-span: 2; }
    .pane { height: 1fr; padding: 0; scrollbar-size-vertical: 1; }
    .pane { border: round $surface-lighten-3; border-title-color: $text; }
    .pane:focus { border: round $accent; }
    #checks > .option-list--option-highlighted { background: $boost; text-style: bold; color: $text; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("h", "hint", "Hint"),
        Binding("z", "zoom", "Zoom"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, events: Iterable[Event], stop: Callable[[], None], hint: Callable[[str], str]) -> None:
        super().__init__()
        self.has_lost_its_source = False
        self._events, self._stop, self._hint = events, stop, hint
        self._steps: list[dict[str, Any]] = []
        self._due: str | None = None
        self._checks: dict[str, dict[str, Any]] = {}
        self._folder = ""

    def compose(self) -> ComposeResult:
        """Make the panes."""
        yield Static("", id="state")
        checks = OptionList(id="checks", classes="pane")
        checks.border_title, checks.border_subtitle = "Checks", "↑ ↓ choose"
        with Grid():
            yield self._pane("steps", "Steps")
            yield checks
            yield self._pane("output", "Output of the program")
            yield self._pane("wrong", "What went wrong")
            yield self._pane("dialogue", "Dialogue", "Tab goes to the next pane")
        yield Footer(show_command_palette=False)

    def _pane(self, name: str, title: str, subtitle: str = "") -> VerticalScroll:
        pane = VerticalScroll(Static("", id=f"{name}-text"), id=name, classes="pane")
        pane.border_title, pane.border_subtitle = title, subtitle
        return pane

    def on_mount(self) -> None:
        """Begin to listen."""
        self.query_one("#checks").focus()
        self._listen()

    def on_unmount(self) -> None:
        """Stop listening."""
        self._stop()

    @work(thread=True)
    def _listen(self) -> None:
        for event in self._events:
            if not self.is_running:
                return
            self.call_from_thread(self.take, event)
        if self.is_running:
            self.has_lost_its_source = True
            self.call_from_thread(self.exit)

    # What happens

    def take(self, event: Event) -> None:
        """Show an event: `said`, `begun`, `verdict`, `made`, `complained` or `ended` (see commands/watch_tui.py)."""
        match event["event"]:
            case "begun":
                self._steps, self._due, self._checks = event["steps"], event["step"], {}
                self.query_one("#steps").border_title = safe(event["title"])
                self._say(event["what"])
                self._list_checks()
            case "verdict":
                self._checks[event["verdict"]["id"]] = event["verdict"]
                self._list_checks()
            case "made":
                self._checks = {check["id"]: check for check in event["checks"]}
                self._folder = event["folder"]
                self._list_checks()
            case "ended":
                self._due = event["next"]
                for step in self._steps:
                    step["holds"] = step["id"] in event["holds"]
                held = sum(one["status"] == "pass" for one in self._checks.values())
                self._say(f"{held} of {len(self._checks)} checks hold. {event['text']}")
            case "complained":
                self._say(f"✗ {event['text']}", "red")
            case _:
                self._say(event["text"])
        self._show("steps", self._told_steps())

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#state", Static).update(Text(safe(text), style, no_wrap=True, overflow="ellipsis"))

    def _told_steps(self) -> Iterator[Line]:
        for step in self._steps:
            sign, style = (
                ("✓", "green") if step["holds"] else ("▸", "bold") if step["id"] == self._due else (" ", "dim")
            )
            yield style, fitted(f"{sign} {step['id']} {step['title']}", self._room("steps"))

    def _list_checks(self) -> None:
        """List the checks; the first one that fails is chosen."""
        checks = self.query_one("#checks", OptionList)
        checks.clear_options()
        for verdict in self._checks.values():
            sign, style = SIGNS[verdict["status"]]
            title = fitted(safe(verdict["title"]), self._room("checks") - 2)
            line = Text.assemble((f"{sign} ", style), (title, "dim" if verdict["status"] == "blocked" else ""))
            checks.add_option(Option(line, verdict["id"]))
        failing = [place for place, one in enumerate(self._checks.values()) if one["status"] in ("fail", "error")]
        checks.highlighted = failing[0] if failing else None
        if not failing:
            self._tell(None)

    def on_option_list_option_highlighted(self, chosen: OptionList.OptionHighlighted) -> None:
        """Tell what went wrong in the check that was chosen."""
        self._tell(self._checks.get(chosen.option_id or ""))

    def on_resize(self) -> None:
        """Fit all into the new width, once it is known."""
        self.call_after_refresh(self._list_checks)
        self.call_after_refresh(lambda: self._show("steps", self._told_steps()))

    def action_hint(self) -> None:
        """Show the next hint of the step that is due."""
        if self._due:
            self.notify(safe(self._hint(self._due)), title=f"Hint for step {self._due}", timeout=30, markup=False)

    def action_zoom(self) -> None:
        """Give the pane that is chosen all room, or take it back."""
        if self.screen.maximized:
            self.screen.minimize()
        elif self.focused:
            self.screen.maximize(self.focused, container=False)

    # What is told of one check

    def _tell(self, verdict: dict[str, Any] | None) -> None:
        self._show("wrong", _wrong(verdict, self._room("wrong"), self._folder) if verdict else ())
        self._show("output", _output(verdict, self._room("output")) if verdict else ())
        told = verdict is not None and verdict["transcript"]
        self._show("dialogue", dialogue(verdict, self._room("dialogue") + 2) if verdict and told else (), cut=2)
        self.query_one("#dialogue").scroll_end(animate=False)

    def _room(self, name: str) -> int:
        """Return how many columns a pane has, without its border and its scroll bar."""
        return max(NARROWEST, self.query_one(f"#{name}").size.width - 1)

    def _show(self, name: str, lines: Iterable[Line], cut: int = 0) -> None:
        told = Text("\n").join(Text(safe(line)[cut:], style) for style, line in lines)
        self.query_one(f"#{name}-text", Static).update(told)
        self.query_one(f"#{name}").scroll_home(animate=False)


def _wrong(verdict: dict[str, Any], room: int, folder: str) -> Iterator[Line]:
    """Yield what went wrong: sentences are wrapped, and what has columns is cut."""
    yield from _wrapped("bold", f"{verdict['step']}  {verdict['title']}", room)
    if verdict["status"] in ("pass", "blocked"):
        yield from _wrapped("", "It holds." if verdict["status"] == "pass" else verdict["message"], room)
        return
    for style, line in fault(verdict):
        has_columns = line.startswith(" " * 6)
        yield from [(style, fitted(safe(line[4:]), room))] if has_columns else _wrapped(style, line, room)
    if verdict.get("in_code"):
        yield from ((style, fitted(line[4:], room)) for style, line in causes(verdict, room))
    yield from _wrapped("yellow", advice(verdict), room)
    if verdict["by_hand"]:
        yield from _wrapped("green", f"See it by hand: {by_hand(verdict, folder)}", room)


def _wrapped(style: str, text: str, room: int) -> Iterator[Line]:
    return ((style, line) for line in wrapped(safe(text), room))


def _output(verdict: dict[str, Any], room: int) -> Iterator[Line]:
    if verdict["server"]:
        yield from _wrapped("bold", of_program(verdict).partition(";")[0], room)
    yield from (("", piece) for line in safe(verdict["output"]).splitlines() for piece in cut(line, room))
