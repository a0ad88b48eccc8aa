"""One run of the project under the reloader: in a process of its own, from `manage.py` or `penstock runserver` on.

Tells the reloader what it has loaded. When the project cannot be loaded, shows why, in the terminal and as a page.
"""

import atexit
import html
import importlib
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from penstock import log
from penstock.app import failure
from penstock.config import load
from penstock.development import terminal
from penstock.development.plan import Plan
from penstock.development.refresh import Application, Refresh
from penstock.development.server import EngineServer
from penstock.errors import PenstockError
from penstock.processes import Channel, end_with_parent
from penstock.sockets import Listener

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #fff8f6; color: #2b1a17 }}
header {{ background: #a3271a; color: #fff; padding: 1.5rem 2rem }} h1 {{ font-size: 1.25rem; margin: 0 }}
main {{ padding: 1rem 2rem }} pre {{ font-size: 14px; overflow-x: auto; white-space: pre-wrap }}
</style></head><body><header><h1>{title}</h1></header><main><pre>{detail}</pre>
<p>This page shows itself anew when a file has changed.</p></main></body></html>
"""


class Child:
    """This process, when it is one of the reloader's. `is_first`: nothing has been served yet."""

    def __init__(self, plan: Plan, listener: Listener, channel: Channel, is_first: bool) -> None:
        self.plan, self.listener, self.channel, self.is_first = plan, listener, channel, is_first
        self.has_served = False

    def run(self) -> NoReturn:
        """Runs the program, which calls serve(), and ends this process."""
        global current  # noqa: PLW0603 (the program in between is the project's own)
        current = self
        end_with_parent()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        # Ctrl-C reaches the reloader too, which says what is to be done; a handler is not handed on to programs.
        signal.signal(signal.SIGINT, lambda *_: None)
        os.environ["RUN_MAIN"] = "true"  # by which projects tell the process that serves from the one that watches
        importlib.invalidate_caches()
        try:
            if self.plan.is_penstock:
                self.run_project()
            else:
                self.run_program()
        except SystemExit as end:
            if end.code and not self.has_served:
                self.show_exit(end)
        except PenstockError as error:
            self.show_failure(error)
        except Exception as error:
            if self.has_served:
                raise
            self.show_failure(failure("the project cannot be loaded", error))
        leave()

    def run_program(self) -> None:
        """What the developer has started, such as manage.py. With --noreload Django leaves errors to us."""
        sys.argv = [*self.plan.arguments, "--noreload"]
        if self.plan.module:
            runpy.run_module(self.plan.module, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
            runpy.run_path(sys.argv[0], run_name="__main__")

    def run_project(self) -> None:
        """`penstock runserver`."""
        from penstock.development.command import find_project, run_here  # noqa: PLC0415 (needs Django only here)

        config = load(self.plan.options, os.environ, self.plan.directory)
        run_here(config, find_project(config), [*self.plan.arguments, "--noreload"])

    def show_exit(self, end: SystemExit) -> None:
        """The project ends itself: it has said why, or hands over a text, which Python would print at its end."""
        if isinstance(end.code, int):
            message = f"the project does not start: it called sys.exit({end.code})"
            self.serve_failure(PenstockError(message, "the terminal says why"))
        else:
            self.show_failure(failure("the project cannot be loaded", end))

    def show_failure(self, error: PenstockError) -> None:
        """The error in the terminal, and a page with it for as long as nothing changes."""
        red, plain = ("\x1b[1;31m", "\x1b[0m") if log.has_colour(2) else ("", "")
        print(f"{red}error:{plain} {error}\n", file=sys.stderr)
        self.serve_failure(error)

    def serve_failure(self, error: PenstockError) -> None:
        """Answers every request with the error."""
        terminal.say("waiting for a change", terminal.YELLOW)
        config = load({}, {}, os.sep)  # the project's own may be what is wrong
        refresh = Refresh(can_wait=True)
        application = refresh.around(failure_page(error))
        self.serve(EngineServer(application, self.listener, config, mounts=[]), refresh)

    def serve(
        self,
        server: EngineServer,
        refresh: Refresh | None,
        on_change: Callable[[list[str]], bool] | None = None,
    ) -> None:
        """Serves until the reloader ends this process. `on_change` says whether a change needs a new process."""
        self.has_served = True

        def make_way() -> None:
            if refresh:
                refresh.tell()
            server.stop()

        def listen() -> None:
            while message := self.channel.receive():
                if on_change and on_change(message["paths"]):
                    self.channel.send({"event": "restart", "paths": message["paths"]})

        threading.Thread(target=listen, name="reloader", daemon=True).start()
        self.channel.send({"event": "ready", "is_broken": on_change is None})
        server.run_as_process({signal.SIGTERM: server.stop, signal.SIGHUP: make_way})

    def tell_loaded(self, places: Sequence[str]) -> None:
        """Tells the reloader what the next child will need too, and what is to be watched beside the project."""
        self.channel.send({"event": "loaded", "modules": common_modules(), "places": places})


current: Child | None = None  # set in the reloader's children


def common_modules() -> list[str]:
    """What the next child will need again and is no part of the project: the standard library, and Django."""
    return [name for name in sys.modules if is_common(name)]


def is_common(name: str) -> bool:
    """Whether a module can be loaded without the project's settings, as far as its name tells."""
    package = name.partition(".")[0]
    return package == "django" or (package in sys.stdlib_module_names and name != "__main__")


def leave() -> NoReturn:
    """Ends this process without taking every object apart, which would keep the next child back for 0.1 seconds."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def failure_page(error: PenstockError) -> Application:
    """An application that says what is wrong."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        kind, text = "text/plain", f"{error}\n"
        if "text/html" in environ.get("HTTP_ACCEPT", ""):
            parts = "\n\n".join(part for part in (error.detail.rstrip(), error.hint and f"hint: {error.hint}") if part)
            kind, text = "text/html", PAGE.format(title=html.escape(error.message), detail=html.escape(parts))
        body = text.encode(errors="replace")
        start_response(
            "500 Internal Server Error",
            [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))],
        )
        return [body]

    return application
