"""The chat servers against a model of the room, driven by Hypothesis: several clients, any commands, any segments."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support import SOLUTIONS

from harness.checks.bench import Bench, Starter
from harness.checks.model import CLIENTS, SPELLINGS, STRANGE, TEXTS, Model, Players, Turn, dialogue, play, shortened
from harness.launch.command import python_program
from harness.wire import Fault, Transcript

NAMES = st.sampled_from([name for spellings in SPELLINGS.values() for name in spellings])
TEXT = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=20))
LINES = st.one_of(
    TEXT.filter(lambda text: not text.startswith("/")),
    st.builds("/whisper {} {}".format, NAMES, TEXT),
    st.builds("/nick {}".format, st.one_of(NAMES, st.sampled_from(STRANGE))),
    st.sampled_from(
        ["/list", "/list  ", "/foo", "/listen", "", " \t", "/whisper", "/nick", "y" * 4096, "y" * 4097, "/exit"]
    ),
)
CUTS = st.lists(st.integers(1, 40), max_size=3)


def chunks_of(lines: list[str], cuts: list[int]) -> tuple[int, ...]:
    """Cut what is sent after so many bytes each time, as far as there are so many."""
    left, chunks = len("".join(f"{line}\n" for line in lines).encode()), []
    for cut in cuts:
        if cut < left:
            chunks.append(cut)
            left -= cut
    return (*chunks, left) if chunks else ()


@contextmanager
def bench_of(program: str) -> Iterator[Bench]:
    """Let go of whatever is started in the block."""
    with Starter(python_program(SOLUTIONS / program), "chat", ahead=0) as starter:
        bench = Bench(starter, Transcript())
        try:
            yield bench
        finally:
            bench.close()


def machine_of(bench: Bench) -> type[RuleBasedStateMachine]:
    """Return a state machine whose rules are what clients of this server can do."""

    class Chat(RuleBasedStateMachine):
        """A dialogue; whatever a client does, everybody hears what the model says."""

        def __init__(self) -> None:
            super().__init__()
            bench.transcript.restart()
            self.players = Players(bench.subjects[0] if bench.subjects else bench.start())  # type: ignore[arg-type]

        @rule(who=st.sampled_from(CLIENTS))
        def connect(self, who: str) -> None:
            self.players.take(Turn(who, "connect"))

        @rule(who=st.sampled_from(CLIENTS), name=NAMES, failures=st.lists(st.sampled_from(STRANGE), max_size=2))
        def come(self, who: str, name: str, failures: list[str]) -> None:
            self.players.take(Turn(who, "connect"))
            if not self.players.model.names[who]:
                self.players.take(Turn(who, "send", (*failures, name)))

        @precondition(lambda self: self.players.model.names)
        @rule(who=st.sampled_from(CLIENTS), lines=st.lists(LINES, min_size=1, max_size=4), cuts=CUTS)
        def send(self, who: str, lines: list[str], cuts: list[int]) -> None:
            self.players.take(Turn(who, "send", tuple(lines), chunks_of(lines, cuts)))

        @precondition(lambda self: self.players.model.names)
        @rule(who=st.sampled_from(CLIENTS), deed=st.sampled_from(["end", "reset"]))
        def go(self, who: str, deed: str) -> None:
            self.players.take(Turn(who, deed))

        @invariant()
        def the_server_runs(self) -> None:
            assert self.players.server.is_running()

        def teardown(self) -> None:
            try:
                self.players.part()
            except Fault:  # the next dialogue begins with a server of its own
                bench.close()
                bench.subjects.clear()
                raise

    return Chat


@pytest.mark.parametrize("program", ["lab04_threaded_chat.py", "lab06_select_chat.py"])
def test_a_solution_agrees_with_the_model(program: str) -> None:
    with bench_of(program) as bench:
        run_state_machine_as_test(
            machine_of(bench),
            settings=settings(
                max_examples=25,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_a_dialogue_that_fails_is_shortened_to_what_is_needed() -> None:
    turns = list(dialogue(random.Random(7), 30))
    words = ("expect_welcome", "expect_private_from")

    def fails(shorter: list[Turn]) -> bool:
        model, heard = Model(), []
        for turn in shorter:
            if (turn.deed == "connect") != (turn.who in model.names):
                model.take(turn)
                heard += [what for due in model.due.values() for what, _ in due]
        return all(word in heard for word in words)

    if not fails(turns):
        turns += [
            Turn(name, deed, lines) for name in CLIENTS[:2] for deed, lines in (("connect", ()), ("send", (name,)))
        ]
        turns.append(Turn("ann", "send", ("hello", "/whisper bob hello")))
    shortest = shortened(turns, fails)  # type: ignore[arg-type]
    assert fails(shortest)
    assert [turn.deed for turn in shortest].count("connect") == 2  # two clients come, say their names, and one whispers
    assert sum(len(turn.lines) for turn in shortest) == 3
    assert not any(turn.chunks for turn in shortest)


def test_a_server_that_says_something_else_disagrees() -> None:
    with bench_of("lab06_select_chat.py") as bench:
        turns = [Turn("ann", "connect"), Turn("ann", "send", ("ann", "/list"))]
        server = bench.start()
        play(server, turns)
        other = Players(server)
        for turn in turns:
            other.take(turn)
        other.model.names["bob"] = "bob"  # the model believes in somebody who is not there
        with pytest.raises(Fault, match="another line than was due"):
            other.take(Turn("ann", "send", ("/list",)))
