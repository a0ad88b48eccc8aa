"""For development: asks for a reload when a source file changes. A process of its own, for it runs threads."""

import os
import select
import signal
import sys
from pathlib import Path

from penstock import log
from penstock.app import find
from penstock.config import Config

SOURCES = (".py", ".toml", ".html", ".txt", ".env")


class Watcher:
    """Watches the application's directory and python_path."""

    def __init__(self, config: Config, lifeline: int) -> None:
        self.config, self.lifeline = config, lifeline

    def run(self) -> int:
        """Watches until the supervisor ends. Returns 1 when watchfiles is missing."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor = os.getppid()
        try:
            from watchfiles import watch  # noqa: PLC0415 (development only)
        except ImportError:
            log.error(f"--reload needs watchfiles: `{sys.executable} -m pip install watchfiles`")
            return 1
        poll = select.poll()
        poll.register(self.lifeline, 0)  # hang-ups are always told
        places = [find(self.config, os.environ).directory, *self.config.python_path]
        for changes in watch(*places, watch_filter=is_source, yield_on_timeout=True, rust_timeout=1000):
            if poll.poll(0):
                return 0
            if changes:
                log.info(f"{', '.join(sorted({Path(path).name for _, path in changes}))} changed")
                os.kill(supervisor, signal.SIGHUP)
        return 0


def is_source(change: object, path: str) -> bool:  # noqa: ARG001
    """Whether a file is one that the application is made of."""
    name = os.path.basename(path)
    return name.endswith(SOURCES) or name.startswith(".env")
