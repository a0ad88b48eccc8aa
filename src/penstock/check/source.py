"""Where a Django setting is written down: file, line and expression. Reads source files, runs none of them."""

import ast
import importlib.util
import sys
from collections.abc import Collection, Iterator
from typing import NamedTuple

from penstock.app import shorten


class Assignment(NamedTuple):
    """`NAME = value` in a settings module."""

    path: str
    line: int
    value: ast.expr

    @property
    def place(self) -> str:
        """The file and line as a person writes them."""
        return f"{shorten(self.path)}:{self.line}"

    def spells_out(self, text: str) -> bool:
        """Whether the value itself stands in the source, be it only as what is used without a variable."""
        return any(isinstance(node, ast.Constant) and node.value == text for node in ast.walk(self.value))


def place_of(module: str, name: str) -> str:
    """Where a setting is written; its name when that cannot be told, as when it has Django's default."""
    found = find_assignment(module, name)
    return found.place if found else name


def find_assignment(module: str, name: str, above: Collection[str] = ()) -> Assignment | None:
    """The last assignment of a setting in its module, or in one that the module imports everything from.

    `above` are the modules that lead here: local_settings.py may import all that imports it.
    """
    path = getattr(sys.modules.get(module), "__file__", None)
    if not path or module in above:
        return None
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in sorted(statements(tree), key=lambda node: node.lineno, reverse=True):
        if isinstance(node, ast.ImportFrom):
            found = find_assignment(imported(node, module), name, {*above, module})
            if found:
                return found
        elif node.value and name in targets(node):
            return Assignment(path, node.lineno, node.value)
    return None


def statements(tree: ast.Module) -> Iterator[ast.Assign | ast.AnnAssign | ast.AugAssign | ast.ImportFrom]:
    """What gives settings their values."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.ImportFrom(names=[ast.alias(name="*")]):
                yield node


def targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[str]:
    """The plain names that an assignment is for."""
    nodes = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in nodes if isinstance(target, ast.Name)]


def imported(node: ast.ImportFrom, module: str) -> str:
    """The absolute name of the module that everything is imported from."""
    package = module if hasattr(sys.modules[module], "__path__") else module.rpartition(".")[0]
    name = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:
        return ""
