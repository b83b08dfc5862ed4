"""A program as a sequence of symbols: what its tokens are, not how they are called, written or laid out.

A renamed, reformatted or newly commented copy has the same symbols. Python is read by `tokenize`; where that fails, and
in every other language, a simple lexer goes on, which takes any text in linear time. Nothing is parsed or imported.
"""

import keyword
import re
import tokenize
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate
from pathlib import PurePosixPath

PYTHON = "Python"
LANGUAGES = {
    PYTHON: (".py", ".pyw", ".pyi"),
    "C": (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp"),
    "JavaScript": (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".tsx"),
    "Java": (".java", ".kt", ".scala", ".cs"),
    "Go": (".go",),
    "Rust": (".rs",),
    "script": (".sh", ".bash", ".pl", ".rb"),
}
HASH_COMMENTS = {PYTHON, "script"}  # all others have // and /* */
LONGEST_LINE = 1000  # characters; in a longer one, tokenize may need quadratic time

NAME, NUMBER, STRING, OTHER = "name", "number", "string", "other"
COMMENT = "comment"
WORDS = """
    abstract async await break case catch class const continue default defer delete do double else enum export extends
    extern false final finally float fn for from func function go goto if impl import in int interface let long loop
    match mod mut new nil null package private protected public pub range return self short signed sizeof static struct
    super switch this throw true try type typedef typeof undefined union unsigned use var void volatile while yield
"""  # of all languages but Python together: what is a word of one is rarely a name in another
RESERVED = {True: frozenset(keyword.kwlist), False: frozenset(WORDS.split())}  # by whether it is Python
SIGNS = """
    >>>= **= //= >>= <<= ... === !== ??= &&= ||= == != <= >= += -= *= /= %= @= &= |= ^= -> => := ++ -- && || ?? ?. ** //
    << >> + - * / % @ & | ^ ~ < > = ! ? : , . ; ( ) [ ] { } # \\ $
"""
OPERATORS = SIGNS.split()
CODES = {
    symbol: code
    for code, symbol in enumerate(
        dict.fromkeys((NAME, NUMBER, STRING, OTHER, *sorted(RESERVED[True] | RESERVED[False]), *OPERATORS)), start=1
    )
}
OPENING, CLOSING = "([{", ")]}"

QUOTED = r'"(?:[^"\\\n]++|\\.)*+"?|' + r"'(?:[^'\\\n]++|\\.)*+'?"
THRICE_QUOTED = r'"""(?:[^"\\]++|\\.|"(?!""))*+(?:""")?|' + r"'''(?:[^'\\]++|\\.|'(?!''))*+(?:''')?"
HASHED = rf"(?P<comment>\#[^\n]*+)|(?P<string>[rRbBuUfFtT]{{0,2}}(?:{THRICE_QUOTED}|{QUOTED}))"
SLASHED = r"(?P<comment>//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?)" + rf"|(?P<string>{QUOTED}|`(?:[^`\\]++|\\.)*+`?)"
REST = (
    r"|(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*+)|(?P<name>(?:[^\W\d]|\$)[\w$]*+)"
    rf"|(?P<operator>{'|'.join(map(re.escape, OPERATORS))})|(?P<other>[^\s])"
)
LEXERS = {True: re.compile(HASHED + REST, re.DOTALL), False: re.compile(SLASHED + REST, re.DOTALL)}

Raw = tuple[str, str, int, int]  # a kind, the token as it is written, and where it begins and ends in the text


@dataclass(frozen=True)
class Tokens:
    """The tokens of a file: a byte for each, and where it begins and ends in the text (in characters)."""

    language: str
    symbols: bytes
    starts: "array[int]"
    ends: "array[int]"

    def __len__(self) -> int:
        return len(self.symbols)


def language_of(path: str) -> str | None:
    """Return the language of a file by its name, None for what is no program."""
    suffix = PurePosixPath(path).suffix.lower()
    return next((language for language, suffixes in LANGUAGES.items() if suffix in suffixes), None)


def decoded(data: bytes) -> str:
    """Return the text of a file in whatever encoding, with LF at the end of its lines."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def tokens_of(text: str, language: str) -> Tokens:
    """Return the tokens of a text, without comments and docstrings."""
    symbols, starts, ends = bytearray(), array("I"), array("I")
    for symbol, start, end in _normalised(_raw(text, language), text, language):
        symbols.append(symbol)
        starts.append(start)
        ends.append(end)
    return Tokens(language, bytes(symbols), starts, ends)


def _normalised(raw: Iterator[Raw], text: str, language: str) -> Iterator[tuple[int, int, int]]:
    """Yield the symbols, the same whoever has formatted the text: strings side by side are one, no comma comes last."""
    reserved = RESERVED[language == PYTHON]
    depth = 0
    held: tuple[int, int, int] | None = None  # one of which it is not yet known whether it stays
    for kind, word, start, end in raw:
        if kind == STRING:
            if language == PYTHON and depth == 0 and _is_alone(text, start, end):
                continue
            if held and held[0] == CODES[STRING]:
                held = (held[0], held[1], end)
                continue
            symbol = CODES[STRING]
        elif kind == NAME:
            symbol = CODES[word if word in reserved else NAME]
        elif kind in CODES:
            symbol = CODES[kind]
        else:
            if word == ";":
                continue
            symbol = CODES.get(word, CODES[OTHER])
            if word in OPENING:
                depth += 1
            elif word in CLOSING:
                depth = max(depth - 1, 0)
                if held and held[0] == CODES[","]:
                    held = None
        if held:
            yield held
        held = (symbol, start, end)
    if held:
        yield held


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether a string is a statement of its own, such as a docstring."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    behind = text[end : end + LONGEST_LINE].partition("\n")[0].lstrip()
    return not before.strip() and (not behind or behind[0] in "#;")


def _raw(text: str, language: str) -> Iterator[Raw]:
    done = 0
    if language == PYTHON and max(map(len, text.split("\n"))) <= LONGEST_LINE:
        try:
            for token in _by_tokenize(text):
                yield token
                done = token[3]
        except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
            pass  # no Python, or of another version: go on behind what was understood
        else:
            return
    yield from _by_lexer(text, language, done)


def _by_tokenize(text: str) -> Iterator[Raw]:
    lines = [0, 0, *accumulate(len(line) + 1 for line in text.split("\n"))]  # where each begins, from number 1 on
    nested = begun = 0
    for kind, word, (line, column), (last_line, last_column), _ in tokenize.generate_tokens(StringIO(text).readline):
        start, end = lines[line] + column, lines[last_line] + last_column
        if kind == tokenize.NAME:
            said = NAME
        elif kind == tokenize.OP:
            said = ""
        elif kind == tokenize.STRING:
            said = STRING
        elif kind == tokenize.NUMBER:
            said = NUMBER
        elif kind in F_STRING_START:  # from Python 3.12 on, in parts
            begun = begun if nested else start
            nested += 1
            continue
        elif kind in F_STRING_END:
            nested -= 1
            said, start = STRING, begun
        elif kind == tokenize.ERRORTOKEN and not word.isspace():  # up to Python 3.11; later ones raise
            raise SyntaxError
        else:
            continue
        if not nested:
            yield said, word, start, end


def _by_lexer(text: str, language: str, start: int) -> Iterator[Raw]:
    for match in LEXERS[language in HASH_COMMENTS].finditer(text, start):
        kind = match.lastgroup or OTHER
        if kind != COMMENT:
            yield kind, match[0], match.start(), match.end()


F_STRING_START = {getattr(tokenize, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(tokenize, name)}
F_STRING_END = {getattr(tokenize, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(tokenize, name)}
