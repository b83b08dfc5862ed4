"""Python programs as a look at them needs them: their calls, what stands around these, and what a value is called.

This module and the rules run in a contained process of their own (see look.py): the standard library only, and
nothing of what they look at is ever imported.
"""

import ast
import re
from collections.abc import Iterator
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef
LOOPS = (ast.While, ast.For, ast.AsyncFor)
FUNCTIONS: tuple[type[Function], ...] = (ast.FunctionDef, ast.AsyncFunctionDef)
READING = {"recv", "recv_into", "recvfrom", "sock_recv"}
SENDING = {"send", "sendall"}
SELECTING = {"select", "selectors"}
A_SOCKET = re.compile("conn|sock")  # in a name


class Code:
    """The files of one program, parsed; one that is no Python is left out."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts: dict[str, list[str]] = {}
        self.file: dict[ast.AST, str] = {}
        self.parent: dict[ast.AST, ast.AST] = {}
        self.imports: dict[str, set[str]] = {}  # the names of the modules that a file imports
        self._calls: list[ast.Call] = []
        for name, text in texts.items():
            try:
                tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            self.texts[name] = text.splitlines()
            self.imports[name] = set()
            self._take(name, tree)
        self._calls.sort(key=lambda call: (list(texts).index(self.file[call]), call.lineno, call.col_offset))

    def _take(self, name: str, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            self.file[node] = name
            for child in ast.iter_child_nodes(node):
                self.parent[child] = node
            match node:
                case ast.Call():
                    self._calls.append(node)
                case ast.Import(names=names):
                    self.imports[name] |= {alias.name for alias in names}
                case ast.ImportFrom(module=str(module)):
                    self.imports[name].add(module)

    # What there is

    def nodes(self, *kinds: type[Node]) -> Iterator[Node]:
        """Yield all nodes of some kinds."""
        return (node for node in self.file if isinstance(node, kinds))

    def calls(self, *names: str) -> list[ast.Call]:
        """Return the calls of functions and methods with these names, in the order of the files and lines."""
        return [call for call in self._calls if called(call) in names]

    def readings(self) -> list[ast.Call]:
        """Return the calls that read from a socket."""
        return self.calls(*READING)

    def sendings(self, *names: str) -> list[ast.Call]:
        """Return the calls that send into a socket, and not into something of the program's own with such a method."""
        own = [name for name in names if self.functions(name)]
        return [
            call
            for call in self.calls(*names)
            if (called(call) not in own and receiver(call)) or A_SOCKET.search(receiver(call))
        ]

    def function_names(self) -> set[str]:
        """Return the names of all functions and methods of the program's own."""
        return {node.name for node in self.nodes(*FUNCTIONS)}

    def functions(self, name: str) -> list[Function]:
        """Return the functions and methods of this name."""
        return [node for node in self.nodes(*FUNCTIONS) if node.name == name]

    def line(self, node: ast.AST) -> str:
        """Return the line in which a node begins."""
        number = getattr(node, "lineno", 1)
        return self.texts[self.file[node]][number - 1].strip()

    # Where something stands

    def around(self, node: ast.AST, *kinds: type[ast.AST]) -> ast.AST | None:
        """Return the innermost node of some kinds around another, within the same function."""
        while (node := self.parent.get(node)) is not None:  # type: ignore[assignment]
            if isinstance(node, kinds):
                return node
            if isinstance(node, (*FUNCTIONS, ast.Lambda)):
                return None
        return None

    def function_of(self, node: ast.AST) -> Function | None:
        """Return the function in which a node stands."""
        found = self.around(node, *FUNCTIONS)
        return found if isinstance(found, FUNCTIONS) else None

    def in_use(self, node: ast.AST) -> bool:
        """Whether the function in which a node stands is named anywhere else: if not, nobody calls it."""
        function = self.function_of(node)
        return function is None or function.name in {called(one) for one in self.nodes(ast.Name, ast.Attribute)}

    def selects(self, file: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a file uses select() or selectors, itself or through others of the program."""
        names = self.imports.get(file, set())
        further = {f"{name}.py" for name in names} - seen
        return bool(names & SELECTING) or any(self.selects(other, seen | further) for other in further)

    def bound_to(self, value: ast.AST) -> str:
        """Return what a value is called in the line in which it is made, "" if it has no name."""
        match self.parent.get(value):
            case ast.Await() as awaited:
                return self.bound_to(awaited)
            case ast.NamedExpr(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                return name
            case ast.Assign(targets=[ast.Attribute() as target]):
                return ast.unparse(target)
        return ""


def called(node: ast.AST) -> str:
    """Return the last word of what is called or named: `recv` of `self.socket.recv(1)`."""
    match node:
        case ast.Call(func=function):
            return called(function)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def receiver(call: ast.Call) -> str:
    """Return on what a method is called, as it is written."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def constants(nodes: list[ast.expr]) -> list[object]:
    """Return the values of those that are constants."""
    return [node.value for node in nodes if isinstance(node, ast.Constant)]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return an argument that is given by its name."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def names_in(node: ast.AST) -> set[str]:
    """Return the names that occur in an expression."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def has(node: ast.AST, *kinds: type[ast.AST]) -> bool:
    """Whether there is a node of some kinds in another."""
    return any(isinstance(one, kinds) for one in ast.walk(node))
