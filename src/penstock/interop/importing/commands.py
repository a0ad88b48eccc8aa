"""Finds Gunicorn, uWSGI and Penstock in the commands of Procfiles, systemd units and Dockerfiles; imports their words.

What surrounds a command (users, restarts, layers of an image) stays where it is, and the report says so.
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from penstock.errors import ConfigurationError
from penstock.interop.importing import gunicorn, penstock_command, uwsgi
from penstock.interop.importing.draft import CHANGED, UNNEEDED, UNSUPPORTED, Directive, Draft, Into, Place, Site, join
from penstock.interop.importing.uwsgi_logic import Logic
from penstock.interop.importing.uwsgi_syntax import Option
from penstock.secrets import show

ReadText = Callable[[str], str]
# Words in front of a server that only look for it.
RUNNERS = re.compile(r"(?:exec|env|run|uv|poetry|pipenv|pdm|hatch|rye|python[0-9.]*|-m|--|[A-Za-z_]\w*=.*)")
OPERATORS = ("&&", "||", ";", "|", "&")
# uWSGI's short flags and positional files.
SHORT = {"-s": "socket", "-w": "module", "-p": "processes", "-M": "master", "-H": "home", "-L": "disable-logging"}
SWITCHES = ("master", "enable-threads", "vacuum", "die-on-term", "need-app", "single-interpreter", "lazy-apps",
            "disable-logging", "thunder-lock", "no-orphans", "strict", "lazy", "cheap", "auto-procname")  # fmt: skip


class Command(NamedTuple):
    """A command line: where it stands, where it runs, and the variables it sees."""

    directive: Directive
    words: list[str]
    directory: str
    variables: Mapping[str, str]
    sockets: Collection[str] = ()  # the names of those that systemd passes, and whose unit is imported too


def import_procfile(path: str, draft: Draft, site: Site, read_text: ReadText) -> None:
    """`name: command` lines; the process `web` is what Penstock runs."""
    shown = os.path.relpath(path)
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        process = re.fullmatch(r"\s*([A-Za-z0-9_-]+)\s*:\s*(.+)", line)
        place = Place(shown, number)
        if not process:
            raise ConfigurationError(f"{place}:1: expected `name: command`", "as in `web: gunicorn mysite.wsgi`")
        directive = Directive(place, line.strip())
        if find_server(words := split(process[2], place, line.find(process[2]) + 1)) < 0:
            setting = "release" if process[1] == "release" else "processes"
            note = f"no Gunicorn or uWSGI: keep this line, or let Penstock run it ({setting})"
            draft.find(directive, UNSUPPORTED, note)
            continue
        import_command(Command(directive, words, os.path.dirname(path), draft.variables), draft, site, read_text)
        draft.note(f"The line {process[1]} of {shown} is now: `{process[1]}: penstock serve{rest_of(words)}`.")


def rest_of(words: Sequence[str]) -> str:
    """What a command must still say: an address with a variable, which no file can hold."""
    address = next((word for word in words if "$PORT" in word or "${PORT" in word), "")
    return " --bind 0.0.0.0:$PORT" if address else ""


def import_units(paths: Sequence[str], draft: Draft, site: Site, read_text: ReadText) -> None:
    """Services of systemd, and the sockets that are passed to them."""
    names: set[str] = set()
    for path in sorted(paths, key=is_service):
        if is_service(path):
            import_unit(path, draft, site, read_text, names)
        else:
            names |= import_socket_unit(path, draft, site, read_text)


def is_service(path: str) -> bool:
    """Whether a unit starts something."""
    return not path.endswith(".socket")


def import_socket_unit(path: str, draft: Draft, site: Site, read_text: ReadText) -> set[str]:
    """The addresses of a socket's unit. Returns what the service calls it."""
    shown = os.path.relpath(path)
    name = os.path.basename(path)
    for _, key, value, directive in unit_entries(read_text(path), shown):
        if key == "ListenStream":
            address = value if not value.startswith("/") else f"unix:{value}"
            draft.set(site, "bind", [f"0.0.0.0:{value}" if value.isdigit() else address], directive, base="/")
        elif key == "Backlog":
            draft.set(site, "backlog", value, directive, base="/")
        elif key == "SocketMode":
            draft.find(directive, CHANGED, "umask says which rights a unix socket does not get")
        else:
            draft.find(directive, UNNEEDED, "Penstock binds its addresses itself")
            name = value if key == "FileDescriptorName" else name
    draft.note(
        f"{shown}: bind has its addresses now, so disable that unit; or keep it, and start `penstock serve` with "
        f"--bind=fd://{name} instead, so that they stay open while the service is started anew."
    )
    return {name}


def import_unit(path: str, draft: Draft, site: Site, read_text: ReadText, sockets: Collection[str] = ()) -> None:
    """A systemd service: ExecStart, its variables and its directory."""
    entries = list(unit_entries(read_text(path), os.path.relpath(path)))
    variables = dict(draft.variables)
    directory = next((value for _, key, value, _ in reversed(entries) if key == "WorkingDirectory"), "")
    directory = directory.removeprefix("-").replace("~", "") or os.path.dirname(path)
    for section, key, value, directive in entries:
        if (section, key) == ("Service", "Environment"):
            plain = value.replace("%%", "%")
            pairs = dict(word.partition("=")[::2] for word in split(plain, directive.place, 1) if "=" in word)
            variables |= pairs
            draft.set(site, "environment", pairs, directive, base=directory)
        elif (section, key) == ("Service", "EnvironmentFile"):
            variables |= import_environment_file(value, directive, draft, site, read_text)
        elif (section, key) == ("Service", "WorkingDirectory"):
            draft.set(site, "chdir", directory, directive, base=directory)
        elif (section, key) in UNIT:
            draft.find(directive, *UNIT[section, key])
        elif key != "ExecStart":
            draft.find(directive, UNNEEDED, "stays in the unit")
    for _, key, value, directive in entries:
        if key == "ExecStart":
            words = [one.replace("%%", "%") for one in split(value.lstrip("@-:+!"), directive.place, 1)]
            command = Command(directive, words, directory, variables, sockets)
            import_command(command, draft, site, read_text)
            program = os.path.join(os.path.dirname(words[0]) if words else "", "penstock")
            draft.note(
                f"In {directive.place.file}: `ExecStart={program} serve` and `Type=notify` (the guide to systemd)."
            )


UNIT = {
    ("Service", "Type"): (CHANGED, "Type=notify: systemd knows when the site answers, and why it does not"),
    ("Service", "ExecReload"): (CHANGED, "`penstock reload` fails, and says why, when the new code does not work"),
    ("Service", "PIDFile"): (UNNEEDED, "with Type=notify systemd knows the process"),
    ("Service", "User"): (UNNEEDED, "stays in the unit: the whole service runs as this user"),
    ("Service", "Group"): (UNNEEDED, "stays in the unit: the whole service runs in this group"),
    ("Service", "KillSignal"): (CHANGED, "TERM stops gracefully, QUIT at once"),
    ("Service", "NotifyAccess"): (UNNEEDED, "the main process speaks"),
}


def import_environment_file(
    value: str, directive: Directive, draft: Draft, site: Site, read_text: ReadText
) -> dict[str, str]:
    """Variables of a file; secret ones stay in it, and the site does not start without them."""
    path = value.removeprefix("-")
    if not os.path.isfile(path):
        draft.find(directive, UNSUPPORTED, "the file is not here: it stays in the unit, and its variables are seen")
        return {}
    from io import StringIO  # noqa: PLC0415 (only where there is such a file)

    from dotenv import dotenv_values  # noqa: PLC0415

    read = {name: text for name, text in dotenv_values(stream=StringIO(read_text(path))).items() if text is not None}
    secret = [name for name, text in read.items() if show(name, text) != text]
    plain = {name: text for name, text in read.items() if name not in secret}
    if secret:
        draft.set(site, "secrets", secret, directive, base="/", note="the file stays in the unit, with their values")
    if plain:
        draft.set(site, "environment", plain, directive, base="/")
    return plain


def unit_entries(text: str, shown: str) -> Iterator[tuple[str, str, str, Directive]]:
    """(section, key, value, directive) of a unit; raises ConfigurationError."""
    section = ""
    said, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not said:
            start = number
            if not line.strip() or line.lstrip().startswith(("#", ";")):
                continue
        elif line.lstrip().startswith(("#", ";")):
            continue
        said += line.strip()
        if said.endswith("\\"):
            said = said[:-1] + " "
            continue
        place = Place(shown, start)
        if header := re.fullmatch(r"\[([^\]]+)\]", said):
            section = header[1]
        elif section and "=" in said:
            key, _, value = said.partition("=")
            yield section, key.strip(), value.strip(), Directive(place, said)
        else:
            raise ConfigurationError(f"{place}:1: expected [Section] or Key=value", "as in a unit of systemd")
        said = ""


def import_dockerfile(path: str, draft: Draft, site: Site, read_text: ReadText) -> None:
    """CMD and ENTRYPOINT of the last stage, with its ENV and WORKDIR."""
    shown = os.path.relpath(path)
    variables = dict(draft.variables)
    last: dict[str, tuple[Directive, list[str]]] = {}
    for place, keyword, rest, text in instructions(read_text(path), shown):
        directive = Directive(place, text)
        if keyword in ("CMD", "ENTRYPOINT"):
            if keyword in last:
                draft.find(last[keyword][0], UNNEEDED, f"overridden by {place}")
            last[keyword] = (directive, docker_words(rest, place))
            continue
        if keyword == "FROM":
            for earlier, _ in last.values():
                draft.find(earlier, UNNEEDED, "of an earlier stage: stays in the Dockerfile")
            last.clear()
        if keyword == "ENV":
            words = split(rest, place, 1)
            pairs = [word for word in words if "=" in word] or ["=".join(words[:2])]
            variables |= dict(pair.partition("=")[::2] for pair in pairs)
        verdict, note = DOCKER.get(keyword, (UNNEEDED, "stays in the Dockerfile"))
        draft.find(directive, verdict, note)
    words = [word for keyword in ("ENTRYPOINT", "CMD") if keyword in last for word in last[keyword][1]]
    owners = [(keyword, one) for keyword, (_, one) in last.items() if find_server(one) >= 0]
    for keyword, (directive, own) in last.items():
        if owners and keyword == owners[0][0]:
            chosen = words if keyword == "ENTRYPOINT" else own
            import_command(Command(directive, chosen, os.path.dirname(path), variables), draft, site, read_text)
            draft.note(f'In {shown}: `{keyword} ["penstock", "serve"]` (the guide to containers).')
        else:
            draft.find(
                directive, UNNEEDED if owners else UNSUPPORTED, "stays" if owners else "no Gunicorn or uWSGI in it"
            )


DOCKER = {
    "ENV": (UNNEEDED, "stays in the Dockerfile: Penstock reads the same environment"),
    "HEALTHCHECK": (CHANGED, "health_path answers from the engine, also when every thread is busy"),
    "STOPSIGNAL": (UNNEEDED, "TERM stops gracefully, which is what Docker sends"),
}


def instructions(text: str, shown: str) -> Iterator[tuple[Place, str, str, str]]:
    """(place, KEYWORD, the rest, the text) of a Dockerfile; raises ConfigurationError."""
    said, start, until = "", 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if until:
            until = "" if line.strip() == until else until
            continue
        if line.lstrip().startswith("#") or (not said and not line.strip()):
            continue
        start = start if said else number
        said += line.strip()
        if said.endswith("\\"):
            said = said[:-1] + " "
            continue
        match = re.fullmatch(r"([A-Za-z]+)\s+(.*)", said)
        if not match:
            raise ConfigurationError(f"{shown}:{start}:1: expected INSTRUCTION arguments", "as in a Dockerfile")
        document = re.search(r"<<-?[\"']?(\w+)", match[2])
        until = document[1] if document and match[1].upper() in ("RUN", "COPY") else ""
        yield Place(shown, start), match[1].upper(), match[2], said
        said = ""


def docker_words(rest: str, place: Place) -> list[str]:
    """The words of the JSON form, or of the form for the shell."""
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{place}:1: this list is not valid JSON: {error}", "as in a Dockerfile"
            ) from error
        words = [str(word) for word in words]
        # ["sh", "-c", "command"]
        return split(words[-1], place, 1) if len(words) > 2 and words[-2] == "-c" else words
    return split(rest, place, 1)


def import_command(command: Command, draft: Draft, site: Site, read_text: ReadText) -> None:
    """Imports the arguments of the server in a command, and reports what stands around it."""
    words = [fill(word, command.variables) for word in command.words]
    position = find_server(words)
    directive = command.directive
    if position < 0:
        draft.find(directive, UNSUPPORTED, "no Gunicorn or uWSGI in it")
        return
    first = max((n + 1 for n in range(position) if words[n] in OPERATORS), default=0)
    end = next((n for n in range(position, len(words)) if words[n] in OPERATORS), len(words))
    others = [word for word in words[first:position] if not RUNNERS.fullmatch(word)]
    if first or end < len(words):
        draft.find(
            directive, UNSUPPORTED, f"run by itself, before: {' '.join(words[: max(first - 1, 0)])}".rstrip(": ")
        )
    if others:
        draft.find(directive, UNSUPPORTED, f"`{' '.join(others)}` may wrap `penstock serve` in the same way")
    assigned = dict(word.partition("=")[::2] for word in words[first:position] if re.match(r"[A-Za-z_]\w*=", word))
    if assigned:
        draft.set(site, "environment", assigned, directive, base=command.directory)
    arguments = words[position + 1 : end]
    before = len(draft.findings)
    program = os.path.basename(words[position])
    if program == "penstock":
        into = Into(draft, site, command.directory)
        penstock_command.import_words(arguments[1:], directive, into, command.sockets)
    elif program == "gunicorn":
        known = draft.variables
        draft.variables = {**command.variables, **assigned}
        try:
            gunicorn.import_words(arguments, directive.place, draft, site, command.directory)
        finally:
            draft.variables = known
    else:
        import_uwsgi(arguments, command, draft, site, read_text)
    if len(draft.findings) == before:
        draft.find(directive, UNNEEDED, "it says nothing that `penstock serve` needs to be told")
    if "chdir" not in site.settings and "app" in site.settings:
        draft.note("Relative names of modules are looked for where `penstock serve` is started, as before.")


def import_uwsgi(words: Sequence[str], command: Command, draft: Draft, site: Site, read_text: ReadText) -> None:
    """The arguments of uwsgi: files, and options as they are in files."""
    options: list[Option] = []
    logic = Logic(draft, read_text)
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        name = SHORT.get(name, name.removeprefix("--"))
        if not word.startswith("-"):
            name, value = "ini", word
        elif not equals and name not in SWITCHES and left and not left[0].startswith("-"):
            value = left.pop(0)
        directive = Directive(command.directive.place, f"{word} {value}".strip() if value not in word else word)
        if name in ("ini", "yaml", "yml", "json", "xml"):
            path = join(command.directory, value)
            if os.path.isfile(path):
                options += logic.options(path)
                draft.find(directive, UNNEEDED, "its options are here now")
            else:
                draft.find(directive, UNSUPPORTED, "the file is not here: import it where it is")
        else:
            options.append(Option(name, value or "true", directive))
    uwsgi.import_site(options, logic.placeholders, command.directory, draft, site)


def find_server(words: Sequence[str]) -> int:
    """The position of the server's name; -1 when there is none."""
    names = [os.path.basename(word) for word in words]
    serves = ("gunicorn", "uwsgi")
    pairs = zip(names, [*words[1:], ""], strict=False)
    return next(
        (n for n, (name, after) in enumerate(pairs) if name in serves or (name, after) == ("penstock", "serve")), -1
    )


def fill(word: str, variables: Mapping[str, str]) -> str:
    """The word with the variables that are known; ${NAME:-default} too, and $$ for $."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        return "$" if not name else variables.get(name, match[2] if match[2] is not None else match[0])

    return re.sub(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)|\$\$", value, word)


def split(text: str, place: Place, column: int) -> list[str]:
    """The words of a command. Raises ConfigurationError."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise ConfigurationError(f"{place}:{column}: {str(error).lower()}", "a quote must be closed") from error
