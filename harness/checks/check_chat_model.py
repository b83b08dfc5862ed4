"""All of part C at once: dialogues by chance, compared with a model of the room."""

import random

from harness.checks.bench import Bench
from harness.checks.mark import check
from harness.checks.model import Turn, dialogue, play, shortened
from harness.wire import Fault

DIALOGUES = 4
TURNS = 30


@check(
    "C6",
    "What one client sends is carried out in the order sent. Replies come in that order; every recipient sees one "
    "sender's messages in that order, each exactly once.",
    "Read the dialogue from the top, and say at each line who must hear what: where do you and the server differ?",
    needs=("renames", "whispers", "tells-who-left", "names-are-unique"),
)
def check_agrees_with_a_model(bench: Bench, seed: int) -> None:
    """In dialogues by chance, everybody hears exactly what a model of the room says."""
    server = bench.start()
    before = tuple(bench.transcript.events), tuple(bench.transcript.script)

    def fails(turns: "list[Turn]") -> bool:
        bench.transcript.restart()
        try:
            play(bench.start(), turns)
        except Fault:
            return True
        return False

    for number in range(DIALOGUES):
        turns = list(dialogue(random.Random(f"{seed} {number}"), TURNS))
        bench.transcript.restart(*before)
        try:
            play(server, turns)
        except Fault as fault:
            shortest = shortened(turns, fails)  # type: ignore[arg-type]
            bench.transcript.restart()
            play(bench.start(), shortest)
            fault.why = "It failed once, in a longer dialogue, and not when it was repeated: look for a race."
            raise
