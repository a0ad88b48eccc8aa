"""`penstock import`: recognises the files, has them imported, and writes penstock.toml and the report.

Writes over nothing unless it is told to, and nothing at all when a file is wrong, or a guard of it would be lost.
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock import log
from penstock.errors import ConfigurationError, PenstockError, UsageError, nearest
from penstock.interop.importing import apache, commands, gunicorn, uwsgi
from penstock.interop.importing.commands import ReadText
from penstock.interop.importing.draft import OPEN, Draft, Site
from penstock.interop.importing.penstock_file import write
from penstock.interop.importing.report import as_json, as_text, summary
from penstock.kinds import Variables

SITE = "site"  # the only one, unless the source has several


class Form(NamedTuple):
    """A kind of file: by what it is known, and who imports it."""

    names: str  # a pattern for the file's name
    content: str  # one for its lines
    importer: Callable[[list[str], Draft], None]  # of all the files of this kind


def import_gunicorn(paths: list[str], draft: Draft) -> None:
    """gunicorn.conf.py, for the only site."""
    for path in paths:
        gunicorn.import_file(path, draft, draft.site(SITE))


def import_apache(paths: list[str], draft: Draft) -> None:
    """Sites of one Apache."""
    apache.import_files(paths, draft, read_text)


def import_uwsgi(paths: list[str], draft: Draft) -> None:
    """Instances of uWSGI."""
    uwsgi.import_files(paths, draft, read_text)


def import_units(paths: list[str], draft: Draft) -> None:
    """Units of systemd, for the only site."""
    commands.import_units(paths, draft, draft.site(SITE), read_text)


def import_commands(importer: Callable[[str, Draft, Site, ReadText], None]) -> Callable[[list[str], Draft], None]:
    """Files with the command of a server in them, for the only site."""

    def import_all(paths: list[str], draft: Draft) -> None:
        for path in paths:
            importer(path, draft, draft.site(SITE), read_text)

    return import_all


FORMS: Mapping[str, Form] = {
    "systemd": Form(r".*\.(?:service|socket)", r"\[(?:Service|Unit|Socket)\]", import_units),
    "dockerfile": Form(
        r"Dockerfile.*|.*\.Dockerfile", r"FROM\s|ENTRYPOINT\b", import_commands(commands.import_dockerfile)
    ),
    "procfile": Form(r"Procfile.*", r"web:", import_commands(commands.import_procfile)),
    "uwsgi": Form(r".*\.(?:ini|ya?ml|json|js|xml)", r"\[uwsgi\]|uwsgi:|(?:\{\s*)?\"uwsgi\"|<uwsgi>", import_uwsgi),
    "apache": Form(
        r"apache2?\.conf|httpd\.conf",
        r"<(?:VirtualHost|IfModule|Location|Directory)\b|(?:WSGI\w+|ServerName|Listen|Include\w*|Define|Use|Alias)\s",
        import_apache,
    ),
    "gunicorn": Form(r".*\.py", r"(?:import|from|bind|workers|wsgi_app|timeout)\b[^:]*$", import_gunicorn),
}


def run(options: Mapping[str, Any]) -> int:
    """Does what the command line asks. Returns 0; raises PenstockError, also when something would be open now."""
    output = os.path.abspath(options["output"])
    if os.path.lexists(output) and not (options["force"] or options["dry_run"]):
        raise UsageError(
            f"{options['output']} is there already, and nothing is written over",
            "--output names another file, --force writes over this one, --dry-run writes none",
        )
    if options["kind"] not in (None, *FORMS):
        hint = nearest(options["kind"], FORMS) or f"the kinds are {', '.join(FORMS)}"
        raise UsageError(f"there is no kind {options['kind']!r}", hint)
    try:
        variables = Variables().read(options["environment"], "")
    except ValueError as error:
        raise UsageError(f"--environment: {error}") from error
    draft = Draft(variables)
    kinds: dict[str, list[str]] = {}
    for file in options["files"]:
        path = os.path.abspath(file)
        kinds.setdefault(options["kind"] or recognise(path), []).append(path)
    for kind, paths in kinds.items():
        FORMS[kind].importer(paths, draft)
    text = write(draft, options["files"], os.path.dirname(output))
    opened = [one.directive for one in draft.findings if one.verdict == OPEN]
    may_write = not options["dry_run"] and (not opened or options["accept_open"])
    put_out(draft, ", ".join(kinds), text, options, may_write)
    if opened and not options["accept_open"]:
        raise PenstockError(
            f"{len(opened)} {'directive' if len(opened) == 1 else 'directives'} kept somebody out, and would not any "
            "more: nothing is written",
            f"--accept-open writes the file; then guard what {opened[0].place} is about with [[site.auth]]",
        )
    return 0


def recognise(path: str) -> str:
    """The kind of a file, by its lines, or else by its name. Raises ConfigurationError."""
    text = read_text(path)
    name = os.path.basename(path)
    for pattern in ("names", "content"):
        for kind, form in FORMS.items():
            wanted, found = getattr(form, pattern), name if pattern == "names" else text
            match = re.fullmatch if pattern == "names" else search_line
            if match(wanted, found):
                return kind
    raise ConfigurationError(
        f"{os.path.relpath(path)}:1:1: it is not clear what kind of file this is",
        f"--kind says it: {', '.join(FORMS)}",
    )


def search_line(pattern: str, text: str) -> re.Match[str] | None:
    """The first line that begins with the pattern."""
    return re.search(rf"^[ \t]*(?:{pattern})", text, re.MULTILINE | re.IGNORECASE)


def read_text(path: str) -> str:
    """The text of a source. Raises ConfigurationError with line and column."""
    shown = os.path.relpath(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
        return content.decode()
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ConfigurationError(f"{shown}:{line}:{column}: this is no text in UTF-8") from error


def put_out(draft: Draft, kind: str, text: str, options: Mapping[str, Any], may_write: bool) -> None:
    """Writes the file and the report."""
    written = options["output"] if may_write else ""
    if written:
        save(written, text)
    coloured = options["report"] == "-" and not options["json"] and log.has_colour(1)
    columns = shutil.get_terminal_size().columns if coloured else 100
    report = as_json(draft, kind, text, written) + "\n" if options["json"] else as_text(draft, coloured, columns)
    if options["dry_run"] and not options["json"]:
        print(text)
    if options["report"] == "-":
        sys.stdout.write(report)
    else:
        save(options["report"], report)
    if not options["json"]:
        if options["report"] != "-":
            print(summary(draft))
        if written:
            print(f"wrote {written}: read it, then `penstock check` and `penstock serve`")


def save(path: str, text: str) -> None:
    """Writes a file that only its owner may read, because it may hold passwords as its source did; all of it, or none.

    What stands for a terminal or a pipe is written to as it is.
    """
    is_stream = os.path.abspath(path).startswith(("/dev/", "/proc/")) or os.path.exists(path) > os.path.isfile(path)
    place = os.path.realpath(path)
    beside = f"{place}.{os.getpid()}"
    try:
        if is_stream:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            return
        with open(beside, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        os.replace(beside, place)
    except (OSError, UnicodeEncodeError) as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        reason = error.strerror if isinstance(error, OSError) else "a name in it is no text in UTF-8"
        raise ConfigurationError(f"{path} cannot be written: {reason}") from error
