"""The engine as Django's own servers are used: bound, told its application, and run until somebody stops it.

One process, no supervisor; no deadline for requests, so that a debugger may wait. Knows nothing of reloading.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock import deadlines, log
from penstock._native import Engine
from penstock.config import Config
from penstock.development.refresh import Application
from penstock.development.terminal import FORMAT, Request, RequestLines
from penstock.errors import RequestTimeout
from penstock.settings import DAY
from penstock.sockets import Listener
from penstock.worker import engine_options

if TYPE_CHECKING:
    from penstock._native import StaticMount

THREADS = 32  # a page may wait for the answers of others, and for somebody at a breakpoint
GRACE = 0.2  # seconds that requests in flight get: nobody wants to wait for Ctrl-C, or for a reload


class EngineServer:
    """One engine on one listening socket."""

    def __init__(
        self,
        application: Application,
        listener: Listener,
        config: Config,
        *,
        mounts: "list[StaticMount]",
        threads: int = THREADS,
        show: Callable[[Request], None] | None = None,
    ) -> None:
        self.lines = RequestLines(show) if show else None
        options = engine_options(config, [listener], mounts)
        options["threads"] = threads
        options["timeout"] = options["slow_request_log"] = 0.0
        options["queue_timeout"] = float(DAY)
        options["access_log"] = self.lines.path if self.lines else ""
        options["access_log_format"] = FORMAT
        self.engine = Engine(application, options, deadlines.tell, RequestTimeout, log.journal.write)

    def stop(self, grace: float = GRACE) -> None:
        """Has run() return within `grace` seconds; for any thread, and for signal handlers."""
        self.engine.stop(grace)

    def run(self, wakeup: int = -1) -> int:
        """Serves until stop(). Returns how many requests have not come to an end."""
        stuck = self.engine.run(wakeup)
        if self.lines:
            self.lines.close()
        return stuck

    def run_as_process(self, on_signals: dict[signal.Signals, Callable[[], object]]) -> None:
        """Serves as what this process is there for: in the main thread, with its signals. Ends it when it must."""
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number, act in on_signals.items():
            signal.signal(number, lambda *_, act=act: act())
        if self.run(reader):
            # Python's finalization would break under threads that still run.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
