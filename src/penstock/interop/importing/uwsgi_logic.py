"""What uWSGI does to its options before it obeys them: includes, placeholders, magic variables, for and if.

Decides as uWSGI would on this machine. Refuses what uWSGI refuses: a loop in a loop, an end without a beginning.
"""

import glob
import grp
import os
import pwd
import re
import socket
from collections.abc import Callable, Iterator, Mapping

from penstock.interop.importing.draft import UNNEEDED, UNSUPPORTED, Draft, Place
from penstock.interop.importing.uwsgi_syntax import SECTION, Option, read_options, wrong

# Deeper means that a file includes itself.
DEEPEST = 20
INCLUDES = ("ini", "include", "inherit", "yaml", "yml", "json", "js", "xml", "inherit-v3")
ENDS = {"endfor": "for", "end-for": "for", "endif": "if", "end-if": "if"}


class Logic:
    """Turns the options of a file into those that hold."""

    def __init__(self, draft: Draft, read_text: Callable[[str], str]) -> None:
        self.draft = draft
        self.read_text = read_text
        self.placeholders: set[str] = set()  # the names that values refer to

    def options(self, path: str, section: str = SECTION) -> list[Option]:
        """All that hold. Raises ConfigurationError."""
        options = list(self.unroll(self.read(path, section, 0)))
        values: dict[str, str] = {}
        for option in options:
            name, value = option.name, option.value
            if name in ("set", "set-placeholder", "set-ph"):
                name, _, value = value.partition("=")
            values.setdefault(name, value)
        return [option._replace(value=self.fill(option, values)) for option in options]

    def read(self, path: str, section: str, depth: int) -> Iterator[Option]:
        """The options of a section, and of what it includes."""
        shown = os.path.relpath(path)
        if depth > DEEPEST:
            raise wrong(Place(shown, 1), 1, "the files include each other without end")
        for written in read_options(self.read_text(path), shown, section):
            option = written._replace(value=self.magic(written.value, path, section))
            if option.name not in INCLUDES:
                yield option
                continue
            file, _, inner = option.value.partition(":")
            included = os.path.join(os.path.dirname(path), file) if file else path
            if os.path.isfile(included):
                self.draft.find(option.directive, UNNEEDED, f"read: {os.path.relpath(included)} {inner}".rstrip())
                yield from self.read(included, inner or SECTION, depth + 1)
            else:
                self.draft.find(option.directive, UNSUPPORTED, "there is no such file here: import it where it is")

    def magic(self, value: str, path: str, section: str) -> str:
        """The value with uWSGI's variables of one letter, $(VARIABLES) and @(files)."""
        name, extension = os.path.splitext(os.path.basename(path))
        directory = os.path.dirname(path)
        user = pwd.getpwuid(os.geteuid()) if os.geteuid() in {one.pw_uid for one in pwd.getpwall()} else None
        letters = {
            "%": "%",
            "p": path,
            "s": os.path.basename(path),
            "d": f"{directory}/",
            "c": os.path.basename(directory),
            "e": extension.removeprefix("."),
            "n": name,
            "x": section,
            "v": directory,
            "h": socket.gethostname(),
            "k": str(os.cpu_count() or 1),
            "u": str(os.geteuid()),
            "g": str(os.getegid()),
            "U": user.pw_name if user else str(os.geteuid()),
            "G": next((one.gr_name for one in grp.getgrall() if one.gr_gid == os.getegid()), str(os.getegid())),
        }
        value = re.sub(r"%([%a-zA-Z])", lambda one: letters.get(one[1], one[0]), value)
        return re.sub(r"\$\((\w+)\)", lambda one: self.draft.variables.get(one[1], one[0]), value)

    def unroll(self, options: Iterator[Option]) -> Iterator[Option]:
        """The options with loops written out, and without what a condition excludes."""
        block: Option | None = None
        inner: list[Option] = []
        seen: dict[str, list[str]] = {}
        for option in options:
            name = option.name
            if name in ENDS:
                if block is None or kind_of(block.name) != ENDS[name]:
                    raise wrong(option.directive.place, 1, f"{name} without a beginning")
                items = self.items(block, seen)
                self.draft.find(block.directive, UNNEEDED, f"taken {len(items)} times" if items else "taken as false")
                self.draft.find(option.directive, UNNEEDED, "taken into account")
                for item in items:
                    for one in inner:
                        repeated = one._replace(value=one.value.replace("%(_)", item))
                        seen.setdefault(one.name, []).append(repeated.value)
                        yield repeated
                if not items:
                    for one in inner:
                        self.draft.find(one.directive, UNNEEDED, f"does not apply: {block.directive.text}")
                block, inner = None, []
            elif kind_of(name):
                if block is not None:
                    raise wrong(option.directive.place, 1, f"{name} within {block.name}: uWSGI refuses that too")
                block = option
            elif block is not None:
                inner.append(option)
            else:
                seen.setdefault(name, []).append(option.value)
                yield option
        if block is not None:
            raise wrong(block.directive.place, 1, f"{block.name} has no end")

    def items(self, block: Option, seen: Mapping[str, list[str]]) -> list[str]:
        """What %(_) is, one after the other; nothing when the condition is not met."""
        name, value = block.name, block.value
        loops: dict[str, Callable[[], list[str]]] = {
            "for": value.split,
            "for-times": lambda: (
                [str(number) for number in range(1, min(int(value), 1000) + 1)] if value.isdigit() else []
            ),
            "for-glob": lambda: sorted(glob.glob(value)),
            "for-readline": lambda: self.read_text(value).splitlines() if os.path.isfile(value) else [],
        }
        if name in loops:
            return loops[name]()
        wanted, question = "-not-" not in name, name.replace("-not", "")
        key, equals, expected = value.partition("=")
        key = key.strip()
        given: str | None
        if question == "if-env":
            given = self.draft.variables.get(key)
            self.draft.note(f"{block.directive.place} asks for the variable {key}: --environment {key}=VALUE sets it.")
        elif question == "if-opt":
            given = seen[key][-1] if key in seen else None
        else:
            test = {"if-dir": os.path.isdir, "if-file": os.path.isfile, "if-exists": os.path.exists}.get(question)
            given, equals = (value if test and test(value) else None), ""
        met = given is not None and (not equals or given == expected.strip())
        return [given or ""] if met and wanted else [value] if not met and not wanted else []

    def fill(self, option: Option, values: Mapping[str, str]) -> str:
        """The value with its %(placeholders); a placeholder may stand for others."""
        value = option.value
        for _ in range(10):
            self.placeholders |= set(re.findall(r"%\(([^()\s]+)\)", value))
            filled = re.sub(r"%\(([^()\s]+)\)", lambda one: values.get(one[1], one[0]), value)
            if filled == value or len(filled) > 65536:
                break
            value = filled
        if missing := re.findall(r"%\([^()]*\)|\$\(\w+\)|@\([^()]*\)", value):
            self.draft.note(f"{option.directive.place}: nothing says what {', '.join(missing)} is.")
        return value


def kind_of(name: str) -> str:
    """for, if, or nothing of the two."""
    found = re.match(r"(for|if)(?=-|$)", name)
    return found[1] if found else ""
