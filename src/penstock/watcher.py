"""For development: asks for a reload when a source file changes. A process of its own, for it runs threads."""

import os
import select
import signal
from pathlib import Path

from penstock import log
from penstock.app import find
from penstock.config import Config
from penstock.errors import PenstockError

TURN = 500  # milliseconds after which the supervisor's end is noticed
DEBOUNCE = 200  # milliseconds: an editor writes several files at once
SOURCES = (".py", ".toml", ".html", ".txt", ".env")


class Watcher:
    """Watches the application's directory and python_path."""

    def __init__(self, config: Config, lifeline: int) -> None:
        self.config, self.lifeline = config, lifeline

    def run(self) -> int:
        """Watches until the supervisor ends. Returns 1 when there is no application to watch: the mold says why."""
        from watchfiles import watch  # noqa: PLC0415 (development only)

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor = os.getppid()
        try:
            places = [find(self.config, os.environ).directory, *self.config.python_path]
        except PenstockError:
            return 1
        end = select.poll()
        end.register(self.lifeline, 0)  # hang-ups are always told
        turns = watch(*places, watch_filter=is_source, yield_on_timeout=True, rust_timeout=TURN, debounce=DEBOUNCE)
        changes = next(turns)
        log.info(f"watching {', '.join(places)}")
        while not end.poll(0):
            if changes:
                log.info(f"{', '.join(sorted({Path(path).name for _, path in changes}))} changed")
                os.kill(supervisor, signal.SIGHUP)
            changes = next(turns)
        return 0


def is_source(change: object, path: str) -> bool:  # noqa: ARG001
    """Whether a file is one that the application is made of."""
    name = os.path.basename(path)
    return name.endswith(SOURCES) or name.startswith(".env")
