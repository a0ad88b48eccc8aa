"""What runs beside a generation: its processes and jobs, with all that they need. Starts nothing.

The mold makes the plan, because it reads the site's configuration and variables; the supervisor carries it out.
"""

import itertools
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from penstock.companions.procfile import read_procfile
from penstock.config import Config
from penstock.processes import LARGEST_TEXT

# What only a shell understands: operators, variables, patterns, and a variable set for one command.
FOR_A_SHELL = r"[|&;<>()$`*?\[\]{}~#\n]|^\s*[A-Za-z_]\w*="


class Command(NamedTuple):
    """What is run, and how it is ended."""

    name: str
    text: str
    environment: dict[str, str]  # over the site's
    output: str  # "log" or "pass"
    stop_signal: str  # without SIG
    stop_timeout: float

    @property
    def needs_shell(self) -> bool:
        """Whether sh has to read it."""
        return re.search(FOR_A_SHELL, self.text) is not None

    @property
    def words(self) -> list[str]:
        """The program and its arguments."""
        return ["/bin/sh", "-c", self.text] if self.needs_shell else shlex.split(self.text)


class Process(NamedTuple):
    """A command that shall run all the time."""

    command: Command
    restart: str  # "always", "on-failure" or "never"


class Job(NamedTuple):
    """A command that is run at set times."""

    command: Command
    cron: str
    timeout: float  # 0: none
    overlap: str  # "skip" or "queue"


class Plan(NamedTuple):
    """All that runs beside one generation."""

    processes: list[Process]
    jobs: list[Job]
    release: list[Command]
    directory: str
    environment: dict[str, str]  # all of it
    secrets: list[str]  # the names of variables that nobody may see
    time_zone: str

    def parts(self) -> Iterator[str]:
        """The plan for from_text(), in texts that each fit into a message."""
        text = json.dumps(self)
        return (text[start : start + LARGEST_TEXT] for start in range(0, len(text), LARGEST_TEXT))

    @classmethod
    def from_text(cls, text: str) -> "Plan":
        """The plan whose parts were put together again."""
        processes, jobs, release, *others = json.loads(text)
        return cls(
            [Process(Command(*command), *rest) for command, *rest in processes],
            [Job(Command(*command), *rest) for command, *rest in jobs],
            [Command(*command) for command in release],
            *others,
        )


NOTHING = Plan([], [], [], "/", {}, [], "")


def plan_of(config: Config, directory: str, environment: Mapping[str, str], python: str) -> Plan:
    """The plan of a configuration. `python` is the site's interpreter. Raises ConfigurationError for a Procfile.

    `environment` is what the site's other processes have.
    """
    processes, release = config.processes, config.release
    if isinstance(processes, str):
        lines = read_procfile(processes, config.origin("processes"))
        release = release or [text for name, text in lines.items() if name == "release"]
        processes = {name: {"command": text} for name, text in lines.items() if name not in ("web", "release")}
    # What stands beside the site's Python is found first; what Python prints is seen at once.
    path = f"{os.path.dirname(python)}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return Plan(
        [
            Process(command_of(name, table, config), table.get("restart", "always"))
            for process, table in processes.items()
            for name in names_of(process, table.get("count", 1))
        ],
        [
            Job(command_of(name, table, config), table["cron"], table["timeout"], table["overlap"])
            for name, table in named_jobs(config.schedule).items()
        ],
        [command_of("release", {"command": text}, config) for text in release],
        directory,
        {"PYTHONUNBUFFERED": "1", **environment, "PATH": path},
        config.secrets,
        config.schedule_time_zone,
    )


def command_of(name: str, table: Mapping[str, Any], config: Config) -> Command:
    """The command of one table; a Procfile's tables have nothing but the text."""
    return Command(
        name,
        table["command"],
        table.get("environment", {}),
        table.get("output", "log"),
        table.get("stop_signal", "TERM"),
        table.get("stop_timeout") or config.graceful_timeout,
    )


def names_of(process: str, count: int) -> list[str]:
    """A name for each of `count` processes."""
    return [process] if count == 1 else [f"{process}.{number}" for number in range(1, count + 1)]


def named_jobs(schedule: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The jobs by names to read in a log: for who gave only a cron expression, a word of the command."""
    named: dict[str, Mapping[str, Any]] = {}
    for key, table in schedule.items():
        name = word_of(table["command"]) if key == table["cron"] else key
        same = sum(other == name or other.startswith(f"{name}.") for other in named)
        named[f"{name}.{same + 1}" if same else name] = table
    return named


def word_of(command: str) -> str:
    """The word that says most: the subcommand of a manage.py, else the program."""
    words = shlex.split(command)
    for word, following in itertools.pairwise(words):
        if os.path.basename(word) in ("manage.py", "django-admin"):
            return following
    return os.path.basename(words[0])
