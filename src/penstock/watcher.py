"""For development: notices when files change. A process of its own, for it runs threads.

`Watcher` asks the supervisor for a reload; the development server decides for itself what a change means.
"""

import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from penstock import log
from penstock.app import find
from penstock.config import Config
from penstock.errors import PenstockError

TURN = 500  # milliseconds after which the supervisor's end is noticed
PAUSE = 50  # milliseconds without a change that end a save: an editor writes several files at once
DEBOUNCE = 200  # milliseconds after which nobody waits for such a pause any more
SOURCES = (".py", ".wsgi", ".toml", ".html", ".txt", ".env")


class Watcher:
    """Watches the application's directory and python_path."""

    def __init__(self, config: Config, lifeline: int) -> None:
        self.config, self.lifeline = config, lifeline

    def run(self) -> int:
        """Watches until the supervisor ends. Returns 1 when there is no application to watch: the mold says why."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor = os.getppid()
        try:
            places = [find(self.config, os.environ).directory, *self.config.python_path]
        except PenstockError:
            return 1
        end = select.poll()
        end.register(self.lifeline, 0)  # hang-ups are always told
        for changed in changes(places, is_source, PAUSE):
            if changed is None:
                log.info(f"watching {', '.join(places)}")
            elif end.poll(0):
                break
            elif changed:
                log.info(f"{', '.join(sorted({Path(path).name for path in changed}))} changed")
                os.kill(supervisor, signal.SIGHUP)
        return 0


def changes(places: list[str], is_wanted: Callable[[object, str], bool], pause: int) -> Iterator[set[str] | None]:
    """The files that have changed, when nothing more has for `pause` milliseconds; an empty set at each turn.

    None comes first, when the places are being watched.
    """
    from watchfiles import watch  # noqa: PLC0415 (development only)

    turns = watch(
        *places,
        watch_filter=is_wanted,
        yield_on_timeout=True,
        rust_timeout=TURN,
        step=pause,
        debounce=DEBOUNCE,
        raise_interrupt=False,
    )
    first = next(turns)
    yield None
    yield {path for _, path in first}
    for turn in turns:
        yield {path for _, path in turn}


def is_source(change: object, path: str) -> bool:  # noqa: ARG001
    """Whether a file is one that the application is made of."""
    name = os.path.basename(path)
    return name.endswith(SOURCES) or name.startswith(".env")
