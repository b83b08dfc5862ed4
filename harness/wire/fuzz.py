"""One exchange under many segmentations; a failing one is shrunk and told as `chunks=[7, 1, 12]`."""

from collections.abc import Callable, Iterable

from harness.wire.segments import Chunks, shrink
from harness.wire.transcript import Fault, Transcript


def under_all(cuts: Iterable[Chunks], exchange: Callable[[Chunks], None], transcript: Transcript) -> None:
    """Do `exchange` with each way to cut; if one raises Fault, raise the Fault of the simplest that fails.

    Behind what stood there before, the transcript then holds that simplest exchange alone.
    """
    before = tuple(transcript.events), tuple(transcript.script)

    def fails(chunks: Chunks) -> bool:
        transcript.restart(*before)
        try:
            exchange(chunks)
        except Fault:
            return True
        return False

    for chunks in cuts:
        if fails(chunks):
            smallest = shrink(chunks, fails)
            transcript.restart(*before)
            try:
                exchange(smallest)
            except Fault as fault:
                fault.what += f" (sent with chunks={smallest})"
                raise
            raise Fault(
                f"sent with chunks={smallest} the exchange failed, and when repeated it did not",
                why="The program behaves differently from one time to the next: look for a race.",
            )
