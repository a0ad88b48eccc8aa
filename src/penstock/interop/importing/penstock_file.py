"""Writes a penstock.toml: only what differs from the defaults, each with the help of the settings table as a comment.

Paths below the directory of the file are written relative to it, all others whole.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.interop.importing.draft import Draft, Site
from penstock.kinds import Entries, Folders, Kind, Listing, Measure, Mounts, Path, Tables
from penstock.settings import BY_NAME, TABLE, Setting


def write(draft: Draft, sources: list[str], directory: str) -> str:
    """The text of the file, to be put into `directory`."""
    # A name may have line breaks in it, which would end the remark.
    names = " ".join(source if source.isprintable() else repr(source) for source in sources)
    lines = [f"# Made by `penstock import {names}`. `penstock explain` shows every setting."]
    server: dict[str, Any] = {}
    several = len(draft.sites) > 1 or any(site.path != "/" for site in draft.sites)
    for site in draft.sites:
        for name, value in draft.differences(site).items():
            if BY_NAME[name].section == "server":
                before = server.get(name)
                server[name] = [*before, *(v for v in value if v not in before)] if isinstance(before, list) else value
    # A site of several has a log of its own.
    own = ("access_log", "access_log_format", "error_log") if several else ()
    lines += section("server", {name: value for name, value in server.items() if name not in own}, directory)
    for site in draft.sites:
        settings = {
            name: value
            for name, value in draft.differences(site).items()
            if BY_NAME[name].section == "site" or name in own
        }
        title = f"sites.{site.name}" if several else "site"
        lines += section(title, settings, directory, list(address(site)) if several else [])
    return "\n".join(lines) + "\n"


def address(site: Site) -> Iterator[str]:
    """What only one of several sites has."""
    if site.hosts:
        yield f"hosts = {toml(site.hosts)}"
    if site.path != "/":
        yield f"path = {toml(site.path)}"


def section(title: str, settings: Mapping[str, Any], directory: str, first: list[str] | None = None) -> list[str]:
    """A section; tables stand below what has one line."""
    lines = list(first or [])
    tables: list[str] = []
    for setting in TABLE:
        if setting.name not in settings:
            continue
        value = written(setting.kind, settings[setting.name], directory)
        if isinstance(setting.kind, Entries) and isinstance(value, dict):
            tables += ["", f"# {setting.help}."]
            for name, table in value.items():
                tables += [f"[{title}.{setting.name}.{key(name)}]"]
                tables += [f"{one} = {toml(content)}" for one, content in table.items()]
        elif isinstance(value, dict):
            tables += ["", f"# {setting.help}.", f"[{title}.{setting.name}]"]
            tables += [f"{key(name)} = {toml(content)}" for name, content in value.items()]
        elif isinstance(setting.kind, Tables):
            tables += ["", f"# {setting.help}."]
            tables += table_lines(title, setting, value)
        else:
            lines += [f"{setting.name} = {toml(value)}  # {setting.help}"]
    return ["", f"[{title}]", *lines, *tables] if lines or tables else []


def table_lines(title: str, setting: Setting, tables: list[dict[str, Any]]) -> Iterator[str]:
    """An array of tables."""
    for number, table in enumerate(tables):
        if number:
            yield ""
        yield f"[[{title}.{setting.name}]]"
        yield from (f"{name} = {toml(content)}" for name, content in table.items())


def written(kind: Kind, value: Any, directory: str) -> Any:
    """The value as a person would write it."""
    if isinstance(kind, Listing):
        return [written(kind.item, item, directory) for item in value]
    if isinstance(kind, Tables):
        return written_tables(kind, value, directory)
    if isinstance(kind, Folders) and not isinstance(kind, Mounts):
        return {url: shorten(path, directory) for url, path in value.items()}
    if isinstance(kind, Measure):
        return kind.show(value)
    if isinstance(kind, Path) and value not in kind.special:
        return shorten(value, directory)
    return value


def written_tables(kind: Tables, value: Any, directory: str) -> Any:
    """A list of tables, tables by name, or the path of a file that has them."""
    if isinstance(value, str):
        return shorten(value, directory)
    if isinstance(value, Mapping):
        return {name: written_table(kind, table, directory) for name, table in value.items()}
    return [written_table(kind, table, directory) for table in value]


def written_table(kind: Tables, table: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """The keys of a table that are not what they would be anyway."""
    return {
        one.name: written(one.kind, table[one.name], directory)
        for one in kind.keys
        if one.default is None or table[one.name] != one.kind.read(one.default, "/")
    }


def shorten(path: str, directory: str) -> str:
    """Relative to the file, when it is below its directory."""
    if path == directory:
        return "."
    return path[len(directory) + 1 :] if path.startswith(directory.rstrip(os.sep) + os.sep) else path


def toml(value: Any) -> str:
    """A value as TOML. JSON's strings are TOML's, but for DEL."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key(name)} = {toml(content)}' for name, content in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)
