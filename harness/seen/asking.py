"""Predict, then observe: questions whose guesses are kept, and claims that fail when the world has changed."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from harness.errors import UsageError
from harness.report.sequence.svg import FAINT, INK
from harness.results import write_whole
from harness.seen.display import say

GUESSES = Path("predictions.txt")  # beside the notebook; a line each: the name of the question, a colon, the guess
CARD = f"border:1px solid #c3cad1; border-radius:8px; padding:10px 16px; margin:4px 0; max-width:860px; color:{INK};"
ASKED, ANSWERED, MISSED = "#eef5fa", "#eef8ef", "#fdf4e7"  # what lies behind a question and its answers
HINT = "Put your guess into the cell above (guess=...) and run it. It is kept, and shown beside what happened."
NOTHING_YET = "nothing yet"


@dataclass(frozen=True)
class Question:
    """Something to predict before it is seen."""

    name: str
    text: str
    choices: dict[str, str]  # by their letters
    guess: str = ""

    def happened(self, what: str, why: str, choice: str = "", read: str = "") -> None:
        """Show the guess beside what happened, and why; `choice` is the letter that turned out right.

        `read` says where that is written down: an RFC, a manual page.
        """
        guess = self._in_words(self.guess) or NOTHING_YET
        hit = bool(choice) and self.guess == choice
        verdict = "" if not (choice and self.guess) else " ✓" if hit else " ✗"
        back = MISSED if verdict == " ✗" else ANSWERED
        cells = [("You predicted", guess + verdict), ("What happened", what), ("Why", why)]
        if read:
            cells.append(("Read", read))
        rows = "".join(
            f'<tr style="background:none"><th style="text-align:left; vertical-align:top; white-space:nowrap; '
            f'color:{FAINT}; padding:3px 14px 3px 0">{head}</th>'
            f'<td style="text-align:left; padding:3px 0; font-size:15px; color:{INK}">{escape(cell)}</td></tr>'
            for head, cell in cells
        )
        say(
            f'<div style="{CARD} background:{back}"><table style="border:0">{rows}</table></div>',
            "\n".join(f"{head}: {cell}" for head, cell in cells),
        )

    def _in_words(self, guess: str) -> str:
        return f"{guess}) {self.choices[guess]}" if guess in self.choices else guess

    def show(self) -> None:
        """Show what is asked."""
        items = "".join(f"<li><code>{key}</code> {escape(text)}</li>" for key, text in self.choices.items())
        kept = f"Your guess: {self._in_words(self.guess)}" if self.guess else HINT
        choices = "\n".join(f"  {key}) {text}" for key, text in self.choices.items())
        say(
            f'<div style="{CARD} background:{ASKED}"><b>Predict:</b> {escape(self.text)}'
            f'<ul style="list-style:none; padding-left:8px; margin:6px 0">{items}</ul>'
            f'<span style="color:{FAINT}">{escape(kept)}</span></div>',
            f"Predict: {self.text}\n{choices}\n{kept}",
        )


def ask(name: str, text: str, choices: dict[str, str] | None = None, guess: str | float | None = None) -> Question:
    """Ask for a prediction; a guess is kept, and the one that was kept counts where none is given.

    Raises UsageError for a guess that is not among the choices.
    """
    kept = guesses()
    given = "" if guess is None else f"{guess}".strip()
    if choices and given and given not in choices:
        raise UsageError(f"the guess is one of the letters {', '.join(choices)}; not {given!r}")
    if given and kept.get(name) != given:
        kept[name] = given
        write_whole(GUESSES.absolute(), "".join(f"{key}: {value}\n" for key, value in sorted(kept.items())))
    question = Question(name, text, choices or {}, given or kept.get(name, ""))
    question.show()
    return question


def guesses() -> dict[str, str]:
    """Return the guesses that were kept beside this notebook."""
    if not GUESSES.is_file():
        return {}
    lines = GUESSES.read_text(encoding="utf-8").splitlines()
    return {name.strip(): guess.strip() for name, colon, guess in (line.partition(":") for line in lines) if colon}


def claim(phenomenon: str, holds: bool, measured: str) -> None:
    """Say that a phenomenon was seen, and how it was measured; raise AssertionError where it was not.

    Whoever writes a claim allows for slow machines and other kernels, and for no more than that.
    """
    if not holds:
        raise AssertionError(f"not so on this machine: {phenomenon}. Measured: {measured}")
    say(
        f'<div style="color:{INK}; background:#fff; padding:2px 8px; max-width:860px">'
        f'<span style="color:#1a7f37; font-weight:bold">✓ {escape(phenomenon)}:</span> {escape(measured)}</div>',
        f"✓ {phenomenon}: {measured}",
    )
