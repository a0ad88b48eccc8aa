"""The source of a settings module: which variables it reads, and what in it should be a variable. Runs none of it.

Only plain assignments are understood: what works its value out is its author's, and left alone.
"""

import ast
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

# What reads a variable: os.environ.get and os.getenv, django-environ's env(…) and env.str(…), decouple's config(…).
READERS = re.compile(r"(os\.)?(environ\.get|getenv)|env(\.\w+)?|config")


# What a fresh project has there, as variables. An environment that nobody knows is not for debugging.
DEBUG = 'os.environ.get("DJANGO_ENV", "development") == "development"'
ALLOWED_HOSTS = 'os.environ.get("ALLOWED_HOSTS", "").replace(",", " ").split()'


class Variable(NamedTuple):
    """A variable that the settings read."""

    name: str
    default: str | None  # None when there is none, or none in plain words


class Source:
    """The text of one module. Raises SyntaxError when it is not Python."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text.encode())

    def shared(self) -> list[str]:
        """The modules all of whose names it takes, as it writes them: ".base"."""
        return [
            "." * node.level + (node.module or "")
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        ]

    def variables(self) -> list[Variable]:
        """What it reads from the environment, in the order of the source, each once."""
        found: dict[str, Variable] = {}
        for node in sorted(ast.walk(self.tree), key=lambda node: getattr(node, "lineno", 0)):
            match node:
                case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if is_environ(value):
                    found.setdefault(name, Variable(name, None))
                case ast.Call(func=function, args=[ast.Constant(value=str(name)), *rest], keywords=keywords) if (
                    READERS.fullmatch(ast.unparse(function))
                ):
                    default = [*rest, *(keyword.value for keyword in keywords if keyword.arg == "default"), None][0]
                    found.setdefault(name, Variable(name, plain(default)))
        return list(found.values())

    def improved(self) -> str:
        """The text with variables where a live site needs them; the same text when there is nothing to improve.

        What is written there now stays the value as long as the variable is not set.
        """
        edits = dict(self.edits())
        if not edits:
            return self.text
        lines = lines_of(self.text)
        newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
        for number, line in edits.items():
            lines[number - 1] = line.replace("\n", newline)
        text = "".join(lines)
        return text if self.has_os() else import_os(text, newline)

    def edits(self) -> Iterator[tuple[int, str]]:
        """By line number: what to put in its place, with its end."""
        assigned = dict(self.assignments())
        lines = lines_of(self.text)
        for name, value in assigned.items():
            line = lines[value.lineno - 1].rstrip("\r\n") + "\n"
            if value.end_lineno != value.lineno or not line.startswith(name):
                continue
            written = ast.get_source_segment(self.text, value) or ""
            match name, value:
                case "SECRET_KEY", ast.Constant(value=str()):
                    yield value.lineno, line.replace(written, f'os.environ.get("SECRET_KEY", {written})', 1)
                case "DEBUG", ast.Constant(value=True):
                    yield value.lineno, line.replace(written, DEBUG, 1)
                case "ALLOWED_HOSTS", ast.List(elts=[]):
                    yield value.lineno, line.replace(written, ALLOWED_HOSTS, 1)
                case "STATIC_URL", _ if "STATIC_ROOT" not in self.text and "BASE_DIR" in assigned:
                    yield value.lineno, f"{line}STATIC_ROOT = {static_root(assigned['BASE_DIR'])}\n"

    def assignments(self) -> Iterator[tuple[str, ast.expr]]:
        """The settings that are assigned once and for all: a plain name, outside every block."""
        found = [
            (target.id, node.value)
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        names = [name for name, _ in found]
        yield from ((name, value) for name, value in found if names.count(name) == 1)

    def has_os(self) -> bool:
        """Whether the name `os` is imported."""
        return any(
            isinstance(node, ast.Import) and any(name.name == "os" and not name.asname for name in node.names)
            for node in self.tree.body
        )


def is_environ(node: ast.expr) -> bool:
    """Whether an expression is os.environ."""
    return ast.unparse(node) in ("os.environ", "environ")


def plain(node: ast.expr | None) -> str | None:
    """A default as one would write it into a file of variables."""
    return str(node.value) if isinstance(node, ast.Constant) and node.value is not None else None


def static_root(base: ast.expr) -> str:
    """Where collectstatic may put its files, below a BASE_DIR that is a Path or text."""
    is_path = "Path" in ast.unparse(base)
    return 'BASE_DIR / "var" / "static"' if is_path else 'os.path.join(BASE_DIR, "var", "static")'


def lines_of(text: str) -> list[str]:
    """The lines as Python counts them, each with its end; str.splitlines finds more of them."""
    return list(io.StringIO(text, newline=""))


def import_os(text: str, newline: str) -> str:
    """The text with `import os` before its first import, or else after its docstring."""
    body = ast.parse(text.encode()).body
    lines = lines_of(text)
    place = 0
    for node in body:
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        # `from __future__` has to stay the first.
        if is_import and getattr(node, "module", "") != "__future__":
            place = node.lineno - 1
            break
        if is_import or (node is body[0] and isinstance(node, ast.Expr)):
            place = node.end_lineno or 0
    return "".join([*lines[:place], f"import os{newline}", *lines[place:]])
