"""Reads a Procfile: a line NAME: COMMAND for each kind of process. Refuses lines that are none."""

import os
import re

from penstock import log
from penstock.errors import ConfigurationError, nearest

LINE = r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_-]*)\s*:\s*(?P<command>\S.*)"


def read_procfile(path: str, origin: str) -> dict[str, str]:
    """The commands by name; says that `web` is not run. `origin` is where the path was given."""
    try:
        with open(path, encoding="utf-8") as file:
            commands = parse(file.read(), os.path.relpath(path))
    except (OSError, UnicodeDecodeError) as error:
        directory = os.path.dirname(path)
        others = os.listdir(directory) if os.path.isdir(directory) else []
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"processes ({origin}) names {path}, which cannot be read: {reason}",
            nearest(os.path.basename(path), others) or "a single process is NAME=COMMAND",
        ) from error
    if "web" in commands:
        log.info(f"the line web of {os.path.relpath(path)} is not run: Penstock is the web")
    return commands


def parse(text: str, shown: str) -> dict[str, str]:
    """The commands of a Procfile's text; empty lines and those that begin with # say nothing."""
    commands: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(LINE, line.strip())
        if not match:
            raise ConfigurationError(f"{shown}:{number} is no line of the form NAME: COMMAND")
        if match["name"] in commands:
            raise ConfigurationError(f"{shown}:{number}: there is a line {match['name']} already")
        commands[match["name"]] = match["command"]
    return commands
