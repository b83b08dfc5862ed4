"""Rules about bytes: messages in a stream, characters in bytes, the end of a stream, what send() takes."""

import ast

from harness.checks.diagnosis.code import LOOPS, Code, called, constants, has, keyword, names_in, receiver
from harness.checks.diagnosis.rule import Seen, rule

CUTTING = ("split", "rsplit", "partition", "rpartition", "find", "rfind", "index", "count")
LINE_BY_LINE = ("splitlines", "readline", "readlines", "readuntil", "makefile")
LINES = "coalesced-lines many-lines-at-once several-lines-at-once keeps-the-order shows-coalesced-lines "
PIECES = (
    "split-line any-cut lines-in-pieces half-a-line-at-the-end any-cut-of-a-dialogue unfinished-line shows-any-cut "
    "shows-a-split-line vanishes-in-a-line vanishes-at-the-name "
)
CHARACTERS = "split-character shows-a-split-character shows-any-cut any-cut any-cut-of-a-dialogue lines-in-pieces "
NO_TEXT = (
    "every-byte-value invalid-utf8 invalid-utf8-harms-nobody bytes-that-are-no-text garbage-harms-nobody "
    "shows-what-is-no-text types-what-is-no-text "
)
ENDS = (
    "half-close end-without-data data-and-end-together adds-nothing does-not-spin next-client leaks-nothing "
    "says-nothing-and-leaves tells-who-left keeps-nothing-of-clients rests-while-all-are-silent server-closes "
)
LARGE = (
    "much-data-both-ways slow-reader-gets-everything slow-reader-delays-nobody late-reader-gets-everything "
    "all-talk-at-once "
)


def is_line_end(value: object) -> bool:
    """Whether a constant has a line end in it, or stands for one in a regular expression."""
    return (isinstance(value, str) and ("\n" in value or r"\n" in value)) or (
        isinstance(value, bytes) and (b"\n" in value or rb"\n" in value)
    )


def cuts(code: Code) -> list[ast.Call]:
    """Return the calls that look for a line end."""
    named = {one.targets[0].id: one.value for one in code.nodes(ast.Assign) if isinstance(one.targets[0], ast.Name)}

    def at_line_ends(call: ast.Call) -> bool:
        given = [named.get(one.id, one) if isinstance(one, ast.Name) else one for one in call.args]
        return any(map(is_line_end, constants(given)))

    return [*filter(at_line_ends, code.calls(*CUTTING)), *code.calls(*LINE_BY_LINE)]


def compares_with_line_ends(code: Code) -> bool:
    """Whether single bytes or characters are compared with a line end."""
    return any(
        value == 10 or is_line_end(value)
        for one in code.nodes(ast.Compare)
        for value in constants([one.left, *one.comparators])
    )


@rule(LINES + PIECES + "only-lf-ends-a-line")
def taken_for_a_line(code: Code) -> Seen:
    """What one recv() brings is taken for one line: nothing looks for the LF in it. It may be half a line, or three."""
    if not cuts(code) and not compares_with_line_ends(code):
        own = [call for call in code.readings() if code.file[call] == code.file[code.readings()[0]]]
        handed_on = [use for call in own if (name := code.bound_to(call)) for use in _uses(code, name)]
        yield from handed_on or own


def _uses(code: Code, name: str) -> list[ast.Name]:
    """Return where a value of this name is used first in the functions to which it is handed on."""
    calls = [call for call in code.calls(*code.function_names()) if name in map(called, call.args)]
    functions = [function for call in calls for function in code.functions(called(call))]
    uses = (
        [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == name] for function in functions
    )
    return [min(found, key=lambda one: one.lineno) for found in uses if found]


@rule(LINES)
def first_line_only(code: Code) -> Seen:
    """This takes one line out of what has come, once: further lines that came with it wait until more comes."""
    for call in cuts(code):
        once = called(call) == "partition" or (called(call) == "split" and len(call.args) > 1)
        function = code.function_of(call)
        again = function and any(code.around(one, ast.While) for one in code.calls(function.name))
        if once and not code.around(call, *LOOPS) and not again and receiver(call) != "line":
            yield call


@rule(PIECES)
def rest_is_lost(code: Code) -> Seen:
    """The piece behind the last line end is the beginning of a line, and is not kept until the next recv()."""
    for call in cuts(code):
        if called(call) not in ("split", "splitlines") or len(call.args) > 1:
            continue
        statement = code.parent.get(call)
        text = ast.unparse(code.function_of(call) or ast.Module([], []))
        name = code.bound_to(call)
        kept = name and any(f"{name}{how}" in text for how in (".pop(", "[-1]", "[:-1]"))
        starred = isinstance(statement, ast.Assign) and has(statement.targets[0], ast.Starred)
        if not kept and not starred:
            yield call


@rule(CHARACTERS + NO_TEXT)
def decoded_in_pieces(code: Code) -> Seen:
    """What one recv() brought is decoded as it is: it may end in the middle of a character, and need not be text."""
    names = {name for call in code.readings() if (name := code.bound_to(call))}
    for call in code.calls("decode"):
        source = call.func.value if isinstance(call.func, ast.Attribute) else call
        if source in code.readings() or (isinstance(source, ast.Name) and source.id in names):
            yield call


@rule(NO_TEXT)
def decoded_strictly(code: Code) -> Seen:
    """decode() raises UnicodeDecodeError for bytes that are not valid UTF-8, unless `errors` says what to do then."""
    for call in code.calls("decode"):
        codec = constants(call.args[:1])
        if code.around(call, ast.Try):
            continue
        if len(call.args) < 2 and keyword(call, "errors") is None and codec not in (["latin-1"], ["latin1"]):
            yield call


@rule("only-lf-ends-a-line crlf ends-of-lines shows-other-separators-in-one-line")
def ends_at_more_than_lf(code: Code) -> Seen:
    """splitlines() ends a line at CR, VT, FF, U+2028 and others as well; here LF alone ends one."""
    return code.calls("splitlines")


@rule("asks-for-a-name answers-a-line registers sends-typed-lines ends-the-last-line shows-a-line", "nothing|without")
def without_a_line_end(code: Code) -> Seen:
    """What is sent here has no LF at its end: whoever reads lines goes on waiting for it."""
    for call in code.calls("encode"):
        if isinstance(call.func, ast.Attribute) and _last(call.func.value) not in ("", "\n"):
            yield call


def _last(text: ast.expr) -> str:
    """Return the last character of a text as far as it is written down, "?" if a value stands there, "" if unknown."""
    match text:
        case ast.Constant(value=str(value)):
            return value[-1:]
        case ast.BinOp(op=ast.Add(), right=right):
            return _last(right)
        case ast.JoinedStr(values=[*_, ast.Constant(value=str(value))]):
            return value[-1:]
        case ast.JoinedStr():
            return "?"
    return ""


@rule(ENDS)
def end_is_not_seen(code: Code) -> Seen:
    """At the end of the stream recv() returns b"", at once and again and again: this loop does not end then."""
    for call in code.readings():
        loop, name = code.around(call, ast.While), code.bound_to(call)
        if not isinstance(loop, ast.While) or not name or name in names_in(loop.test):
            continue
        tests = [one for one in ast.walk(loop) if isinstance(one, ast.If | ast.While) and name in names_in(one.test)]
        if not any(has(one, ast.Break, ast.Return, ast.Raise) for one in tests):
            yield call


@rule(LARGE, "other bytes|only|nothing|lost")
def sent_in_part(code: Code) -> Seen:
    """send() takes what fits and returns how many bytes that were: here nobody looks, and what did not fit is lost."""
    for call in code.sendings("send"):
        made_here = any(code.functions(called(one)) for one in call.args)  # a short word, such as a refusal
        if isinstance(code.parent.get(call), ast.Expr) and not made_here:
            yield call


@rule("bounded-memory keeps-no-endless-line refuses-a-long-line longest-line")
def all_is_kept(code: Code) -> Seen:
    """What has no line end yet grows with each recv(), and nothing here asks how long it is."""
    if not code.calls("len") and not any(has(one.slice, ast.Slice) for one in code.nodes(ast.Subscript)):
        yield from cuts(code)
