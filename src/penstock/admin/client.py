"""The other end of the control socket: what `penstock status`, `reload` and the others do. Prints nothing itself."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from penstock import log
from penstock.admin import place
from penstock.config import Config
from penstock.errors import PenstockError, UsageError, from_message

Answer = dict[str, Any]

PAUSE = 0.5  # seconds over which the rate of requests is taken


class NoSupervisor(PenstockError):  # noqa: N818 (it says what happened)
    """Nobody answers, or several do."""


def find_socket(config: Config) -> str:
    """The control socket of the supervisor that serves this project. NoSupervisor says what there is instead."""
    if config.control == "off":
        raise UsageError(f"control is off ({config.origin('control')})", "send the supervisor signals instead")
    if config.control != "auto":
        return str(config.control)
    paths = place.living()
    found = place.serving(config, paths)
    home = place.home_of(config)
    if len(found) == 1:
        return found[0]
    choice = "name one with --control"
    if found:
        raise NoSupervisor(f"{len(found)} supervisors serve {home}", choice, "\n".join(found))
    if paths:
        raise NoSupervisor(f"no supervisor serves {home}; others run", choice, "\n".join(paths))
    raise NoSupervisor(
        f"no supervisor serves {home}", "start one with `penstock serve`, or name its socket: --control"
    )


class Connection:
    """A conversation with one supervisor."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.end.connect(path)
        except OSError as error:
            self.end.close()
            raise NoSupervisor(
                f"no supervisor answers at {path}: {(error.strerror or str(error)).lower()}",
                "it runs as another user" if isinstance(error, PermissionError) else "start one with `penstock serve`",
            ) from error
        self.lines = self.read_lines()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.end.close()

    def read_lines(self) -> Iterator[bytes]:
        """The answers, as they come."""
        with self.end.makefile("rb") as file:
            yield from file

    def ask(self, command: str, **arguments: Any) -> Answer:
        """The answer to one command. Raises the error that it brings, or NoSupervisor when there is no answer."""
        try:
            self.end.sendall(json.dumps({"command": command} | arguments).encode() + b"\n")
            line = next(self.lines, b"")
        except OSError:
            line = b""
        if not line:
            raise NoSupervisor(
                f"the supervisor at {self.path} gave no answer",
                "" if os.access(self.path, os.W_OK) else "it runs as another user, or has ended",
            )
        answer: Answer = json.loads(line)
        if not answer["ok"]:
            raise from_message(answer["error"])
        return answer

    def wait_for_end(self) -> None:
        """Waits until the supervisor has left."""
        for _ in self.lines:
            pass


def run(options: Mapping[str, Any], config: Config) -> str:
    """Does one of the commands. Returns what is to be printed. Raises PenstockError."""
    with Connection(find_socket(config)) as connection:
        snapshot = connection.ask("status")
        if "sites" in snapshot:
            from penstock.sites.client import ask_sites  # noqa: PLC0415 (only with several sites)

            return ask_sites(connection, options, snapshot)
        if options.get("site"):
            raise UsageError(f"there is one site only, so none is named {options['site']!r}")
        return ask_one(connection, options)


def ask_one(connection: Connection, options: Mapping[str, Any]) -> str:
    """Does a command with the supervisor of one site."""
    match options["command"]:
        case "status":
            return status(connection, options["json"])
        case "stacks":
            workers = connection.ask("stacks")["workers"]
            return "\n".join(f"worker {w['number']} (pid {w['pid']})\n{w['stacks']}" for w in workers)
        case "stop":
            connection.ask("stop")
            connection.wait_for_end()
            return ""
        case "reload" | "rollback" as command:
            return f"generation {connection.ask(command)['generation']} serves\n"
        case command:
            connection.ask(command, **{key: options[key] for key in ("workers", "name") if key in options})
            return ""


def status(connection: Connection, as_json: bool) -> str:
    """The figures of the supervisor and its workers."""
    from penstock.admin.status import columns_of_output, look, show  # noqa: PLC0415 (only for people)

    facts = look(connection, PAUSE)
    if as_json:
        return json.dumps(facts, indent=2) + "\n"
    return show(facts, log.has_colour(1), columns_of_output()) + "\n"
