"""Reads Apache's configuration language: sections, quotes, continued lines, ${VAR}, Define, Include, If… of modules.

Pure but for the files that are included. Macros are refused: Apache itself can write them out.
"""

import glob
import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from penstock.errors import ConfigurationError
from penstock.interop.importing.draft import Directive, Place

# As Apache's own limit: deeper means that a file includes itself.
DEEPEST = 128
READ_ON = "the file must be one that `apache2ctl configtest` accepts"


class Node(NamedTuple):
    """A directive, or a section with what stands in it."""

    name: str  # as Apache compares it, in lower case
    arguments: list[str]
    place: Place
    text: str
    children: "list[Node] | None"  # None for a directive

    @property
    def directive(self) -> Directive:
        """For the report."""
        return Directive(self.place, self.text)


Report = Callable[[Directive, str, str], None]


class Reader:
    """Reads files into nodes. What the language itself uses up is in `resolved`: each directive, and what it did."""

    def __init__(self, variables: dict[str, str], read_text: Callable[[str], str]) -> None:
        self.variables = variables
        self.read_text = read_text
        self.root = ""
        self.resolved: list[tuple[Directive, bool, str]] = []  # whether nothing is lost, and why

    def read(self, path: str, depth: int = 0) -> list[Node]:
        """The nodes of a file and of those that it includes. Raises ConfigurationError with line and column."""
        self.root = self.root or os.path.dirname(path)
        shown = os.path.relpath(path)
        stack: list[tuple[Node, int]] = []  # the open sections
        top: list[Node] = []
        for number, indent, line in logical_lines(self.read_text(path)):
            place = Place(shown, number)
            into = stack[-1][0].children if stack else top
            assert into is not None, "what is open has children"
            if closing := re.fullmatch(r"</\s*(\w+)\s*>", line):
                if not stack or stack[-1][0].name != closing[1].lower():
                    opened = f"<{stack[-1][0].text}> of line {stack[-1][0].place.line} is open" if stack else "none is"
                    raise wrong(place, indent, f"</{closing[1]}> closes a section, and {opened}")
                stack.pop()
            elif line.startswith("<"):
                section = re.fullmatch(r"<(\w+)(?:\s(.*))?>", line)
                if not section:
                    raise wrong(place, indent, "a section begins with <Name argument>, on one line")
                arguments = self.split(section[2] or "", place, indent)
                stack.append((Node(section[1].lower(), arguments, place, line, []), indent))
                into.append(stack[-1][0])
            else:
                name = line.split(maxsplit=1)[0]
                arguments = self.split(line[len(name) :], place, indent + len(name))
                into.append(Node(name.lower(), arguments, place, line, None))
                if name.lower() in ("include", "includeoptional"):
                    into[-1:] = [into[-1], *self.include(into[-1], depth)]
                elif name.lower() in ("define", "undefine", "serverroot"):
                    self.define(into[-1])
        if stack:
            raise wrong(stack[-1][0].place, stack[-1][1], f"{stack[-1][0].text} is never closed")
        return top if depth else list(self.resolve(top))

    def split(self, text: str, place: Place, column: int) -> list[str]:
        """The arguments, without their quotes and with the values of ${VARIABLES}."""
        arguments = []
        position = 0
        pattern = re.compile(
            r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([\w-]+=)"((?:[^"\\]|\\.)*)"|([^\s"'][^\s]*))(?=\s|$)"""
        )
        while text[position:].strip():
            match = pattern.match(text, position)
            if not match:
                raise wrong(place, column + position, "a quote is not closed, or something follows it")
            quoted = next((one for one in (match[1], match[2], match[4]) if one is not None), None)
            word = re.sub(r"\\([\"'\\])", r"\1", quoted) if quoted is not None else match[5]
            word = f"{match[3] or ''}{word}"  # mod_wsgi's options have quotes behind the =
            arguments.append(re.sub(r"\$\{([^}:]+)\}", lambda one: self.variables.get(one[1], one[0]), word))
            position = match.end()
        return arguments

    def include(self, node: Node, depth: int) -> Iterator[Node]:
        """What the files of an Include say."""
        if depth > DEEPEST:
            raise wrong(node.place, 0, "the files include each other without end")
        patterns = [os.path.join(self.root, argument) for argument in node.arguments]
        files = [file for pattern in patterns for file in sorted(glob.glob(pattern)) if os.path.isfile(file)]
        if files:
            self.resolved.append((node.directive, True, f"read: {', '.join(os.path.relpath(file) for file in files)}"))
        else:
            missing = "there is no such file here: import it together with this one, where it is"
            self.resolved.append((node.directive, node.name == "includeoptional", missing))
        for file in files:
            yield from self.read(file, depth + 1)

    def define(self, node: Node) -> None:
        """Define, UnDefine and ServerRoot: what later lines refer to."""
        first = node.arguments[0] if node.arguments else ""
        if node.name == "serverroot":
            self.root = os.path.join(self.root, first)
        elif node.name == "undefine":
            self.variables.pop(first, None)
        elif first:
            self.variables[first] = " ".join(node.arguments[1:])

    def resolve(self, nodes: list[Node]) -> Iterator[Node]:
        """The nodes without those of the language itself: IfModule, IfDefine, IfVersion, IfFile, Define."""
        for node in nodes:
            if node.name in ("macro", "use", "undefmacro"):
                raise ConfigurationError(
                    f"{node.place}:1: macros are not read ({node.text})",
                    "write out what they stand for; `apache2ctl -t -D DUMP_CONFIG` shows it",
                )
            if node.name in ("define", "undefine", "serverroot"):
                self.resolved.append((node.directive, True, "taken into account"))
            elif node.name in ("include", "includeoptional"):
                continue
            elif node.name in ("ifmodule", "ifdefine", "ifversion", "iffile"):
                holds = self.holds(node)
                self.resolved.append((node.directive, True, "taken as true" if holds else "taken as false"))
                if holds:
                    yield from self.resolve(node.children or [])
                else:
                    self.pass_over(node.children or [], node)
            elif node.children is not None:
                yield node._replace(children=list(self.resolve(node.children)))
            else:
                yield node

    def holds(self, node: Node) -> bool:
        """Whether a condition is met; modules are taken as loaded, and Apache as 2.4."""
        argument = node.arguments[0] if node.arguments else ""
        wanted = not argument.startswith("!")
        name = argument.removeprefix("!")
        if node.name == "ifdefine":
            return (name in self.variables) == wanted
        if node.name == "iffile":
            return os.path.exists(os.path.join(self.root, name)) == wanted
        if node.name == "ifversion":
            return is_version(node.arguments)
        return wanted

    def pass_over(self, nodes: list[Node], condition: Node) -> None:
        """Reports what stands in a section that does not apply."""
        for node in nodes:
            self.resolved.append((node.directive, True, f"does not apply: {condition.text} ({condition.place})"))
            self.pass_over(node.children or [], condition)


def is_version(arguments: list[str]) -> bool:
    """Whether Apache 2.4 meets `!>= 2.2` and the like."""
    words = ["=", *arguments] if len(arguments) == 1 else arguments
    operator = words[0] if words else "="
    numbers = [int(number) for number in re.findall(r"[0-9]+", words[-1] if words else "")]
    order = (numbers[:2] < [2, 4]) - (numbers[:2] > [2, 4])
    met = {">": order > 0, "<": order < 0, ">=": order >= 0, "<=": order <= 0}.get(operator.lstrip("!"), order == 0)
    return met != operator.startswith("!")


def logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Each line that says something: its number, its column, and its text with the lines that continue it."""
    number = indent = 0
    said = ""
    for current, line in enumerate(text.split("\n"), 1):
        if not said:
            number, indent = current, len(line) - len(line.lstrip()) + 1
        if line.endswith(("\\", "\\\r")):
            said += line.rstrip("\r")[:-1] + " "
            continue
        said = re.sub(r"\s+", " ", (said + line).strip()) if '"' not in said + line else (said + line).strip()
        if said and not said.startswith("#"):
            yield number, indent, said
        said = ""
    if said.strip() and not said.startswith("#"):
        yield number, indent, said.strip()


def wrong(place: Place, column: int, reason: str) -> ConfigurationError:
    """An error of the language."""
    return ConfigurationError(f"{place}:{column or 1}: {reason}", READ_ON)
