"""What is done with the exported files: printed, compared, or written. Never writes over what somebody has changed."""

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock.errors import PenstockError, UsageError


def printed(files: Mapping[str, str]) -> str:
    """The files for standard output, each below a comment with its name; all of them know # as a comment."""
    return "\n".join(f"# ---- {name} ----\n{text}" for name, text in files.items())


def differences(directory: Path, files: Mapping[str, str], has_colour: bool) -> str:
    """What writing them would change, as a diff; "" for nothing."""
    lines: list[str] = []
    for name, text in files.items():
        before = read(directory / name) or ""
        place = str(directory / name)
        lines += difflib.unified_diff(before.splitlines(), text.splitlines(), place, place, lineterm="")
    return "".join(f"{line}\n" for line in (map(coloured, lines) if has_colour else lines))


def coloured(line: str) -> str:
    """A line of a diff as a terminal shows it."""
    colours = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
    return f"{colours[line[0]]}{line}\x1b[0m" if line[0] in colours else line


def write(directory: Path, files: Mapping[str, str], is_forced: bool) -> Iterator[str]:
    """Writes them; yields what was done with each.

    UsageError, before anything is written, when there is another file of a name; PenstockError when it cannot be done.
    """
    changed = {name: text for name, text in files.items() if read(directory / name) != text}
    there = [str(directory / name) for name in changed if os.path.lexists(directory / name)]
    if there and not is_forced:
        raise UsageError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, and would change",
            "--diff shows how; --force writes anew; --write DIR names another place",
        )
    for name in files:
        path = directory / name
        if name not in changed:
            yield f"{path} is as it should be"
            continue
        beside = path.with_name(f".{path.name}.penstock")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            beside.write_text(changed[name], "utf-8")
            beside.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise PenstockError(f"{path} cannot be written: {error.strerror}") from error
        yield f"{path} is written"


def read(path: Path) -> str | None:
    """The text of a file; None when there is none. PenstockError when it cannot be read."""
    try:
        return path.read_bytes().decode(errors="replace") if os.path.lexists(path) else None
    except OSError as error:
        raise PenstockError(f"{path} cannot be read: {error.strerror}") from error
