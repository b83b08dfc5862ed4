"""Rules about serving many: threads and what they share, who waits for whom, sockets and their options."""

import ast
import re

from harness.checks.diagnosis.code import (
    FUNCTIONS,
    LOOPS,
    SENDING,
    Code,
    called,
    constants,
    has,
    keyword,
    names_in,
    receiver,
)
from harness.checks.diagnosis.rule import Seen, rule

LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"}
COPIES = {"list", "tuple", "set", "sorted", "copy", "dict", "frozenset"}
REMOVING = {"remove", "pop", "popitem", "discard", "clear"}
VIEWS = {"values", "items", "keys"}
OF_ONE_CLIENT = re.compile(
    r"(?i)^(current_?|new(est)?_?|last_?)?(client|conn(ection)?|sock(et)?|writer|user(name)?|name)$"
)
CATCHING = {"OSError", "Exception", "BaseException", "ConnectionError", "BrokenPipeError", "error"}

ALONE = "silent-client-delays-nobody silence-delays-nobody thread-per-client tells-who-joined lists-members "
SLOW = "slow-reader-delays-nobody late-reader-delays-nobody floods-delay-nobody "
IDENTITY = (
    "silent-client-delays-nobody serves-in-any-order tells-who-joined messages-reach-all-others registers "
    "keeps-what-is-said blames-the-right-one several-lines-at-once accepts-everybody "
)
GONE = (
    "blames-the-right-one several-vanish-at-once vanishes-before-accept vanishes-at-the-name vanishes-in-a-line "
    "tells-who-left thousands-vanish-at-once survives-reset-of-slow-reader "
)
STOPS = "stops-when-idle stops-with-clients stops-in-the-middle "
RESTS = (
    "idles does-not-spin rests-while-all-are-silent idles-with-a-slow-reader rests-when-all-is-read waits-without-work "
)


# Who waits for whom


@rule(ALONE)
def thread_is_called_here(code: Code) -> Seen:
    """This calls the function now, in this very thread, and hands over what it returns: a target has no brackets."""
    for call in code.calls("Thread"):
        if isinstance(keyword(call, "target"), ast.Call):
            yield call


@rule("echoes " + ALONE)
def thread_is_not_started(code: Code) -> Seen:
    """The thread is made, and never started."""
    if not code.calls("start"):
        yield from code.calls("Thread")


@rule(ALONE)
def joined_at_once(code: Code) -> Seen:
    """join() waits for the end of that thread: until then, nobody else is accepted."""
    for call in code.calls("join"):
        loop = code.around(call, ast.While)
        if not call.args and loop and any(called(one) == "accept" for one in ast.walk(loop)):
            yield call


@rule(ALONE)
def read_while_accepting(code: Code) -> Seen:
    """The loop that accepts waits here for one client: as long as that one is silent, nobody else is accepted."""
    for call in code.readings():
        if not code.selects(code.file[call]) and code.calls("Thread") and _is_in_accept_loop(code, call):
            yield call


def _is_in_accept_loop(code: Code, call: ast.AST, deep: bool = True) -> bool:
    loop = code.around(call, ast.While)
    if loop and any(called(one) == "accept" for one in ast.walk(loop)):
        return True
    function = code.function_of(call)
    return (
        deep and function is not None and any(_is_in_accept_loop(code, one, False) for one in code.calls(function.name))
    )


@rule(SLOW + "late-reader-gets-everything much-data-both-ways survives-reset-of-slow-reader")
def waits_until_all_is_taken(code: Code) -> Seen:
    """sendall() goes on until the kernel has taken all: if a client does not read, the only thread waits here."""
    return (call for call in code.calls("sendall") if code.selects(code.file[call]))


@rule("late-reader-delays-nobody floods-delay-nobody")
def waits_for_the_slowest(code: Code) -> Seen:
    """drain() waits for the one who does not read, and so does everything that comes behind it."""
    return (call for call in code.calls("drain") if isinstance(code.parent.get(call), ast.Await))


@rule(SLOW)
def sockets_wait(code: Code) -> Seen:
    """No client's socket is made non-blocking: select() says that something fits, and not how much; the rest waits."""
    quiet = [call for call in code.calls("setblocking", "settimeout") if not re.search("listen|server", receiver(call))]
    if not any(constants(call.args)[:1] in ([False], [0], [0.0]) for call in quiet):
        yield from code.calls("select")


# What clients and threads share


@rule("all-talk-at-once")
def no_lock(code: Code) -> Seen:
    """Each client has a thread, and they share what they change: there is no lock."""
    if not code.calls(*LOCKS):
        yield from code.calls("Thread")


@rule("all-talk-at-once")
def lock_of_its_own(code: Code) -> Seen:
    """This makes a new lock each time: nobody else can ever hold it."""
    return (call for call in code.calls(*LOCKS) if isinstance(code.parent.get(call), ast.withitem))


@rule("all-talk-at-once")
def lock_is_not_held(code: Code) -> Seen:
    """This lock is made, and nobody ever holds it."""
    held = {called(one.context_expr) for one in code.nodes(ast.withitem)}
    held |= {receiver(call).rpartition(".")[2] for call in code.calls("acquire")}
    for call in code.calls(*LOCKS):
        name = code.bound_to(call).rpartition(".")[2]
        if name and name not in held:
            yield call


@rule("all-talk-at-once")
def sent_without_the_lock(code: Code) -> Seen:
    """Nobody holds the lock here: another thread's line may come in between."""
    if not code.calls(*LOCKS) or not code.calls("Thread"):
        return
    for call in code.sendings(*SENDING):
        function = code.function_of(call)
        callers = code.calls(function.name) if function else []
        if code.around(call, ast.For) and not any(map(_is_locked, [code] * (1 + len(callers)), [call, *callers])):
            yield call


def _is_locked(code: Code, node: ast.AST) -> bool:
    around = code.around(node, ast.With)
    return isinstance(around, ast.With) and (
        any("lock" in ast.unparse(item.context_expr).lower() for item in around.items) or _is_locked(code, around)
    )


@rule(IDENTITY)
def one_for_all_clients(code: Code) -> Seen:
    """This one variable is there for all clients: while one is served, it may come to mean another."""
    shared = {name for one in code.nodes(ast.Global) for name in one.names}
    for node in code.nodes(ast.Assign):
        function = code.function_of(node)
        for target in node.targets:
            of_self = isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"
            theirs = of_self and OF_ONE_CLIENT.match(called(target)) and function and function.name != "__init__"
            if (isinstance(target, ast.Name) and target.id in shared and function) or theirs:
                yield node


@rule(IDENTITY)
def looked_up_later(code: Code) -> Seen:
    """A lambda looks its names up when it runs: by then the loop may have come to another client."""
    for node in code.nodes(ast.Lambda):
        loop = code.around(node, *LOOPS)
        if loop:
            bound = {one.id for one in ast.walk(loop) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
            own = {one.arg for one in node.args.args}
            if bound & names_in(node.body) - own:
                yield node


@rule("unfinished-line vanishes-at-the-name lines-in-pieces serves-in-any-order slow-reader-gets-everything")
def kept_for_all(code: Code) -> Seen:
    """This is made once, and not anew for each client: what one has sent is mixed with what others send."""
    makers = {"bytearray", "list", "dict", "set", "LineBuffer"}
    for function in code.nodes(*FUNCTIONS):
        for default in function.args.defaults:
            if isinstance(default, ast.List | ast.Dict) or called(default) in makers:
                yield default
    made = {called(one) for one in code.nodes(ast.Attribute) if isinstance(one.ctx, ast.Store)}
    for node in code.nodes(ast.Assign):
        if (
            isinstance(code.parent[node], ast.ClassDef)
            and called(node.targets[0]) not in made
            and called(node.value) in makers
        ):
            yield node


# Who has gone


@rule(GONE + "serves-in-any-order accepts-everybody next-client")
def changed_while_gone_through(code: Code) -> Seen:
    """The body of this loop changes what the loop goes through: RuntimeError, or one is left out. Go through a copy."""
    for node in code.nodes(ast.For):
        whole = node.iter
        if isinstance(whole, ast.Call) and called(whole) in VIEWS and isinstance(whole.func, ast.Attribute):
            whole = whole.func.value
        if isinstance(whole, ast.Name | ast.Attribute) and any(_changes(code, one, called(whole)) for one in node.body):
            yield node


def _changes(code: Code, body: ast.AST, name: str, deep: bool = True) -> bool:
    for node in ast.walk(body):
        if _leaves_at_once(code, node):
            continue
        if isinstance(node, ast.Call) and called(node) in REMOVING and receiver(node).rpartition(".")[2] == name:
            return True
        if isinstance(node, ast.Delete) and any(called(getattr(one, "value", one)) == name for one in node.targets):
            return True
        own = isinstance(node, ast.Call) and receiver(node) in ("", "self") and code.functions(called(node))
        if own and deep and any(_changes(code, function, name, False) for function in own):
            return True
    return False


def _leaves_at_once(code: Code, node: ast.AST) -> bool:
    """Whether the loop ends right behind a statement."""
    while not isinstance(node, ast.stmt):
        if (above := code.parent.get(node)) is None:
            return False
        node = above
    block = next(
        (block for block in vars(code.parent[node]).values() if isinstance(block, list) and node in block), [node]
    )
    return any(isinstance(one, ast.Break | ast.Return) for one in block[block.index(node) :])


@rule(GONE)
def sender_is_blamed(code: Code) -> Seen:
    """If this one has gone, the exception ends the loop, and whoever called it: those behind it get nothing, and the
    sender is dropped in its place."""
    for call in code.sendings(*SENDING):
        loop = code.around(call, ast.For)
        if not isinstance(loop, ast.For) or not names_in(loop.target) & set(receiver(call).split(".")):
            continue
        caught = code.around(call, ast.Try, ast.With)
        if not isinstance(caught, ast.Try | ast.With) or loop not in _all_around(code, caught):
            yield call


def _all_around(code: Code, node: ast.AST) -> list[ast.AST]:
    found = []
    while above := code.parent.get(node):
        found.append(above)
        node = above
    return found


# How it ends, and how it rests


@rule(STOPS, "still running")
def threads_live_on(code: Code) -> Seen:
    """These threads keep the process: nobody wakes them (shutdown() of their sockets), and they are no daemons."""
    wakes = any(code.in_use(call) for call in code.calls("shutdown"))
    if not wakes and not any(called(one) == "daemon" for one in code.nodes(ast.Attribute)):
        yield from (call for call in code.calls("Thread") if keyword(call, "daemon") is None)


@rule(STOPS, "still running")
def everything_is_caught(code: Code) -> Seen:
    """This catches KeyboardInterrupt and SystemExit as well, and the loop goes on."""
    for node in code.nodes(ast.ExceptHandler):
        everything = node.type is None or called(node.type) in ("BaseException", "KeyboardInterrupt")
        if everything and code.around(node, *LOOPS) and not has(node, ast.Raise, ast.Break, ast.Return):
            yield node


@rule(RESTS, "spins")
def asks_again(code: Code) -> Seen:
    """This does not wait: where nothing has come, it asks again at once, and uses a whole processor for it."""
    for node in code.nodes(ast.ExceptHandler):
        names = {called(one) for one in ast.walk(node.type)} if node.type else {""}
        if names & {"BlockingIOError", "TimeoutError", "timeout"} and isinstance(
            node.body[-1], ast.Continue | ast.Pass
        ):
            yield node
    yield from (call for call in code.calls("select") if constants(call.args[-1:]) == [0])


@rule(RESTS + "silence-delays-nobody", "got nothing|closed|ended")
def given_up(code: Code) -> Seen:
    """After so many seconds of silence, whatever waits on this socket raises TimeoutError: silence is no fault."""
    for call in code.calls("settimeout"):
        if any(isinstance(value, int | float) and value > 0 for value in constants(call.args)):
            yield call


# Sockets and their options


@rule("restarts-at-once")
def address_is_not_reused(code: Code) -> Seen:
    """SO_REUSEADDR is not set on this socket, or only after it was bound."""
    for call in code.calls("bind"):
        function = code.function_of(call)
        options = [one for one in code.calls("setsockopt") if "SO_REUSEADDR" in ast.unparse(one)]
        if not any(code.function_of(one) is not function or one.lineno < call.lineno for one in options):
            yield call


@rule("binds-what-it-is-told has-default-address")
def listens_everywhere(code: Code) -> Seen:
    """An empty host, or 0.0.0.0, is every address of this machine."""
    for call in code.calls("bind", "create_server", "start_server", "add_argument"):
        given = [*call.args, *(one.value for one in call.keywords if one.arg in ("host", "default"))]
        parts = [part for one in given for part in (one.elts if isinstance(one, ast.Tuple) else [one])]
        if {"", "0.0.0.0"} & {value for value in constants(parts) if isinstance(value, str)}:
            yield call


@rule("burst-of-100", "could not connect")
def short_queue(code: Code) -> Seen:
    """So few clients may wait to be accepted; the system lets the others try again a second later."""
    for call in code.calls("listen"):
        if any(isinstance(value, int) and value < 100 for value in constants(call.args)):
            yield call


@rule("more-clients-than-select-can-watch")
def descriptors_are_not_counted(code: Code) -> Seen:
    """select() raises ValueError for a descriptor of 1024 or above, and nothing here looks at fileno()."""
    if not any("fileno()" in ast.unparse(one) for one in code.nodes(ast.Compare)):
        yield from (call for call in code.calls("select") if receiver(call) in ("", "select"))


# Words


@rule("says-listening")
def not_flushed(code: Code) -> Seen:
    """What is printed into a pipe or a file waits in a buffer until flush=True, or the end of the program."""
    for call in code.calls("print"):
        if "listening" in ast.unparse(call) and keyword(call, "flush") is None:
            yield call


@rule("refuses-unknown-commands commands-are-not-shown garbage-harms-nobody sends-lines-unchanged agrees-with-a-model")
def begins_like_a_command(code: Code) -> Seen:
    """startswith() is also true for a longer word that only begins like this command."""
    for call in code.calls("startswith"):
        words = [value for value in constants(call.args) if isinstance(value, str | bytes)]
        if any(
            len(word) > 1 and str(word).strip("b'\"").startswith("/") and str(word).strip("'\"")[-1] != " "
            for word in words
        ):
            yield call


@rule("refuses-bad-names accepts-names", "another line")
def only_the_beginning_matches(code: Code) -> Seen:
    """match() is content with the beginning of a text: what follows may be anything."""
    return code.calls("match")
