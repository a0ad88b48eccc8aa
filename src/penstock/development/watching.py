"""Which files matter to a development server, and the process that notices when they change."""

import os
import signal

from penstock.processes import Channel, end_with_parent
from penstock.watcher import changes

PAUSE = 10  # milliseconds without a change that end a save; a restart too many costs less than waiting
MOST_TOLD = 100  # paths of one change: an installation changes thousands
CODE = (".py", ".toml")
# What editors, version control and the interpreter write for themselves.
FOREIGN_FOLDERS = {"__pycache__", ".git", ".hg", ".svn", ".idea", ".vscode", ".tox", "node_modules", ".mypy_cache"}
FOREIGN_FOLDERS |= {".ruff_cache", ".pytest_cache"}
FOREIGN_ENDS = ("~", ".pyc", ".swp", ".swx", ".tmp", ".log", ".sqlite3", ".sqlite3-journal", ".sqlite3-wal", "-shm")


class Watching:
    """The process that watches. Its end of the channel tells of changes."""

    def __init__(self, places: list[str], channel: Channel) -> None:
        self.places, self.channel = places, channel

    def run(self) -> int:
        """Watches until it is ended. Says first that it does."""
        end_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for changed in changes(self.places, is_wanted, PAUSE):
            if changed is None:
                self.channel.send({"event": "watching"})
            elif changed:
                # What asks for a new process comes first, so that it is told in any case.
                paths = sorted(changed, key=lambda path: (not is_code(path), path))
                self.channel.send({"paths": paths[:MOST_TOLD]})
        return 0


def is_code(path: str) -> bool:
    """Whether only a new process can take up the change."""
    name = os.path.basename(path)
    return name.endswith(CODE) or name.startswith(".env")


def is_wanted(_change: object, path: str) -> bool:
    """Whether a change of this file may matter to anybody."""
    *folders, name = path.split(os.sep)
    if not FOREIGN_FOLDERS.isdisjoint(folders) or name.endswith(FOREIGN_ENDS):
        return False
    return name.startswith(".env") or not name.startswith((".", "#"))
