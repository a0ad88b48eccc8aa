"""Reads uWSGI's configuration in ini, YAML, JSON and XML: options in their order, with repeats, and where each stands.

Only what uWSGI's own readers take: its YAML is a list of `key: value` lines. Pure: text in, options out.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.parsers import expat

from penstock.errors import ConfigurationError
from penstock.interop.importing.draft import Directive, Place

# uWSGI's section, in the formats that have sections.
SECTION = "uwsgi"


class Option(NamedTuple):
    """One option as it is written."""

    name: str
    value: str
    directive: Directive


def read_options(text: str, shown: str, section: str = SECTION) -> list[Option]:
    """The options of a section. Raises ConfigurationError with line and column."""
    extension = os.path.splitext(shown)[1]
    readers = {".json": read_json, ".js": read_json, ".xml": read_xml, ".yaml": read_yaml, ".yml": read_yaml}
    guess = read_json if text.lstrip().startswith("{") else read_xml if text.lstrip().startswith("<") else read_ini
    return list(readers.get(extension, guess)(text, shown, section))


def read_ini(text: str, shown: str, section: str) -> Iterator[Option]:
    """[section], key = value, ; and # for remarks, a backslash at the end of a line that goes on."""
    current = ""
    found = False
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        start, line = number, lines[number].strip()
        while line.endswith("\\") and number + 1 < len(lines):
            number += 1
            line = line[:-1] + lines[number].strip()
        number += 1
        if not line or line[0] in ";#":
            continue
        place = Place(shown, start + 1)
        if line.startswith("["):
            if not line.endswith("]"):
                raise wrong(place, len(line), "the name of a section is not closed with ]")
            current = line[1:-1].strip()
            found = found or current == section
        elif not current:
            raise wrong(place, 1, f"{line!r} stands before any section such as [uwsgi]")
        elif current == section:
            name, _, value = line.partition("=")
            yield Option(name.strip(), value.strip(), Directive(place, line))
    if not found:
        raise wrong(Place(shown, 1), 1, f"there is no section [{section}]")


def read_yaml(text: str, shown: str, section: str) -> Iterator[Option]:
    """`section:`, and below it `key: value`; a list below a key gives it several values."""
    current = key = ""
    found = False
    for number, line in enumerate(text.splitlines(), 1):
        place, said = Place(shown, number), line.strip()
        if not said or said.startswith(("#", "---", "...", "%")):
            continue
        if "\t" in line[: len(line) - len(line.lstrip())]:
            raise wrong(place, 1, "YAML is indented with spaces")
        item = re.fullmatch(r"-\s+(.*)", said)
        pair = re.fullmatch(r"([^\s:][^:]*?)\s*:(?:\s+(.*))?", said)
        if item and current == section and key:
            yield Option(key, scalar(item[1]), Directive(place, f"{key}: {item[1]}"))
        elif item and current:
            continue
        elif pair and not line[0].isspace():
            current, key = scalar(pair[1]), ""
            found = found or current == section
        elif pair and current:
            key = scalar(pair[1])
            if current == section and pair[2]:
                yield Option(key, scalar(pair[2]), Directive(place, said))
        else:
            raise wrong(place, len(line) - len(line.lstrip()) + 1, "expected `key: value` below `uwsgi:`")
    if not found:
        raise wrong(Place(shown, 1), 1, f"there is no `{section}:`")


def scalar(text: str) -> str:
    """A value without its quotes and remark."""
    quoted = re.match(r"'((?:[^']|'')*)'|\"((?:[^\"\\]|\\.)*)\"", text)
    if quoted:
        return quoted[1].replace("''", "'") if quoted[1] is not None else re.sub(r"\\(.)", r"\1", quoted[2])
    return re.split(r"\s#", text)[0].strip()


def read_json(text: str, shown: str, section: str) -> Iterator[Option]:
    """{"uwsgi": {"key": value}}; a list gives a key several values, and keys may be there twice."""
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: pairs)
    except json.JSONDecodeError as error:
        raise wrong(Place(shown, error.lineno), error.colno, error.msg) from error
    except RecursionError as error:
        raise wrong(Place(shown, 1), 1, "it is nested too deeply") from error
    pairs = next((value for name, value in content if name == section), None) if is_table(content) else None
    if pairs is None or not is_table(pairs):
        raise wrong(Place(shown, 1), 1, f'expected an object with "{section}" in it')
    position = 0
    for name, value in pairs:
        for one in value if isinstance(value, list) and not is_table(value) else [value]:
            if isinstance(one, list | dict):
                raise wrong(Place(shown, text.count("\n", 0, position) + 1), 1, f"{name} cannot hold tables")
            word = {True: "true", False: "false", None: ""}.get(one, str(one)) if not isinstance(one, str) else one
            found = text.find(json.dumps(name), position)
            position = found if found >= 0 else position
            place = Place(shown, text.count("\n", 0, position) + 1)
            yield Option(name, word, Directive(place, f"{json.dumps(name)}: {json.dumps(one)}"))
        position += 1


def is_table(value: Any) -> bool:
    """Whether it is what the hook makes of an object."""
    return isinstance(value, list) and all(isinstance(one, tuple) for one in value)


def read_xml(text: str, shown: str, section: str) -> Iterator[Option]:
    """<uwsgi><key>value</key></uwsgi>; an empty element is true."""
    options: list[Option] = []
    path: list[str] = []
    words: list[str] = []
    parser = expat.ParserCreate()
    start = [1]

    def open_element(name: str, _: dict[str, str]) -> None:
        path.append(name)
        words.clear()
        start[0] = parser.CurrentLineNumber

    def close_element(name: str) -> None:
        path.pop()
        if path and path[-1] == section:
            value = "".join(words).strip()
            element = f"<{name}>{value}</{name}>" if value else f"<{name}/>"
            options.append(Option(name, value or "true", Directive(Place(shown, start[0]), element)))
        words.clear()

    parser.StartElementHandler = open_element
    parser.EndElementHandler = close_element
    parser.CharacterDataHandler = words.append
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise wrong(Place(shown, error.lineno), error.offset + 1, expat.ErrorString(error.code)) from error
    yield from options


def wrong(place: Place, column: int, reason: str) -> ConfigurationError:
    """An error of the syntax."""
    return ConfigurationError(f"{place}:{max(column, 1)}: {reason}", "the file must be one that uWSGI itself reads")
