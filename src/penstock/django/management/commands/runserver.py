"""`manage.py runserver` with Penstock's engine: Django's own options, checks and messages, another server behind them.

With penstock.django before django.contrib.staticfiles in INSTALLED_APPS. Also what `penstock runserver` runs.
"""

import logging
import os
import sys
import threading
import time
from argparse import ArgumentParser
from datetime import datetime
from signal import SIGINT, SIGTERM
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError, SystemCheckError
from django.db import connections
from django.utils import autoreload

from penstock import __version__, log
from penstock.config import Config, load
from penstock.development import child as children
from penstock.development.address import Address, listen
from penstock.development.child import Child
from penstock.development.plan import Plan
from penstock.development.refresh import Application, Refresh
from penstock.development.reloader import interpreter_flags
from penstock.development.server import THREADS, EngineServer
from penstock.development.terminal import Request, request_line
from penstock.django.changes import Changes
from penstock.django.discovery import Discovery, add_finders, add_media, url_path
from penstock.django.warmup import warm_up
from penstock.errors import PenstockError
from penstock.gateway.compose import compose
from penstock.mold import configured_mounts
from penstock.sockets import Listener

if apps.is_installed("django.contrib.staticfiles"):
    from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand
else:
    from django.core.management.commands.runserver import Command as RunserverCommand

LATER = 1  # seconds after which the checks of a reload begin in any case


class Command(RunserverCommand):  # type: ignore[misc]  # Django has no types
    """The command."""

    help = "Starts Penstock for development: the engine of production, with reloading and static files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Django's, and one."""
        super().add_arguments(parser)
        parser.add_argument(
            "--norefresh",
            action="store_false",
            dest="use_refresh",
            help="Tells Penstock to NOT show pages anew in the browser when their files have changed.",
        )

    def run(self, **options: Any) -> None:
        """Becomes the reloader, or serves in this process."""
        if options["use_reloader"]:
            self.become_reloader()
        self.inner_run(**options)

    def become_reloader(self) -> None:
        """Replaces this process by one that has loaded nothing of the project, and starts this command in others."""
        arguments = autoreload.get_child_arguments()[1 + len(interpreter_flags()) :]
        is_module = arguments[0] == "-m"
        plan = Plan(
            [sys.argv[0], *arguments[2:]] if is_module else [str(argument) for argument in arguments],
            arguments[1] if is_module else "",
            False,
            {},
            os.getcwd(),
            self.address(),
            "manage.py runserver",
        )
        sys.stdout.flush()
        sys.stderr.flush()
        command = [sys.executable, *interpreter_flags(), "-m", "penstock.development", plan.pack()]
        os.execve(sys.executable, command, environment_at_start())

    def address(self) -> Address:
        """Where to listen, as Django has read it."""
        return Address(self.addr, int(self.port), self.use_ipv6)

    def inner_run(self, *_args: Any, **options: Any) -> None:
        """Checks the project, and serves it until somebody stops it."""
        child = children.current
        is_first = not child or child.is_first
        log.journal.open("-", "info")
        try:
            config = load({}, os.environ, os.getcwd())
            if is_first:
                self.look_over(options)
            handler = compose(self.get_handler(**options), config)
            warm_up()
            listener = child.listener if child else listen(self.address())
        except PenstockError as error:
            if child:
                raise
            raise CommandError(str(error), returncode=error.exit_code) from error
        if is_first:
            self.on_bind(listener.port)
        self.serve(handler, listener, config, options)
        if message := options.get("shutdown_message"):
            self.stdout.write(message)

    def serve(self, handler: Application, listener: Listener, config: Config, options: dict[str, Any]) -> None:
        """Serves in this process."""
        child = children.current
        refresh = None
        if child and options["use_refresh"] and config.refresh:
            refresh = Refresh(can_wait=options["use_threading"])
        mounts = self.mounts(config, options)
        shown = RequestShower(options)
        server = EngineServer(
            refresh.around(handler) if refresh else handler,
            listener,
            config,
            mounts=mounts,
            threads=THREADS if options["use_threading"] else 1,
            show=shown.show,
        )
        if child:
            # An upload is no reason to show the page anew from which it was sent.
            media = url_path(settings.MEDIA_URL)
            changes = Changes([root for mount in mounts if mount["prefix"] != media for root in mount["roots"]])
            later = [child, changes, shown.first, options]
            threading.Thread(target=self.look_around, args=later, name="looking around", daemon=True).start()
            serve_under_reloader(child, server, refresh, changes)
        elif threading.current_thread() is threading.main_thread():
            server.run_as_process({SIGINT: server.stop, SIGTERM: server.stop})
        else:
            server.run()

    def look_over(self, options: dict[str, Any]) -> None:
        """The system checks, and whether there are migrations to apply."""
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        connections.close_all()

    def look_around(self, child: Child, changes: Changes, first: threading.Event, options: dict[str, Any]) -> None:
        """What must not keep the first answer back: telling what to watch and, after a reload, the checks."""
        first.wait(LATER)
        child.tell_loaded(changes.places())
        if not child.is_first:
            self.look_over_again(options)

    def look_over_again(self, options: dict[str, Any]) -> None:
        """The system checks, and whether there are migrations to apply: says only what is wrong."""
        try:
            if not options["skip_checks"]:
                self.check()
            self.check_migrations()
        except SystemCheckError as error:
            self.stderr.write(str(error), lambda text: text)
        finally:
            connections.close_all()

    def mounts(self, config: Config, options: dict[str, Any]) -> list[Any]:
        """The files that the engine answers with; what it has not, Django's own handler looks for."""
        found = Discovery()
        found.mounts, found.warnings = configured_mounts(config)
        prefix = url_path(settings.STATIC_URL)
        serves_static = options.get("use_static_handler") and (settings.DEBUG or options["insecure_serving"])
        if serves_static and prefix not in (None, "/"):
            add_finders(found, prefix)
        if config.django_static == "auto":
            add_media(found, settings, 0)
        for warning in found.warnings:
            self.stderr.write(self.style.WARNING(f"warning: {warning}"))
        return found.mounts

    def on_bind(self, server_port: str) -> None:
        """Says where the site is, in Django's words, which tools look for."""
        host = f"[{self.addr}]" if ":" in self.addr else "0.0.0.0" if self.addr == "0" else self.addr
        url = f"{self.protocol}://{host}:{server_port}/"
        self.stdout.write(
            f"{datetime.now().strftime('%B %d, %Y - %X')}\n"
            f"Django version {self.get_version()}, using settings {settings.SETTINGS_MODULE!r}\n"
            f"Starting development server at {url}\n"
            f"Penstock {__version__} serves it, with the engine of production\n"
            "Quit the server with CONTROL-C.\n"
        )
        self.stdout.flush()


def environment_at_start() -> dict[str, str]:
    """The variables before the project added its own, so that what it reads from a file is read anew next time."""
    with open("/proc/self/environ") as file:
        return dict(entry.split("=", 1) for entry in file.read().split("\0") if "=" in entry)


def serve_under_reloader(child: Child, server: EngineServer, refresh: Refresh | None, changes: Changes) -> None:
    """Serves until the reloader ends this process, and takes up what changes meanwhile."""

    def take_up(paths: list[str]) -> bool:
        verdict = changes.verdict(paths)
        if verdict == "refresh" and refresh:
            refresh.tell()
        return verdict == "restart"

    child.serve(server, refresh, take_up)


class RequestShower:
    """Shows each request: in Penstock's way, or through the logger django.server when the project has set that up."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.has_colour = options["force_color"] or (not options["no_color"] and log.has_colour(2))
        self.is_logged = "django.server" in settings.LOGGING.get("loggers", {})
        self.first = threading.Event()  # set when there has been one

    def show(self, request: Request) -> None:
        """Shows one."""
        if self.is_logged:
            log_request(request)
        else:
            sys.stderr.write(request_line(request, self.has_colour))
            sys.stderr.flush()
        self.first.set()


def log_request(request: Request) -> None:
    """A record such as Django's own server makes."""
    level = logging.ERROR if request.status >= 500 else logging.WARNING if request.status >= 400 else logging.INFO
    extra = {"request": None, "status_code": request.status, "server_time": time.strftime("%d/%b/%Y %H:%M:%S")}
    line = f"{request.method} {request.target} {request.protocol}"
    logging.getLogger("django.server").log(level, '"%s" %s %s', line, request.status, request.size, extra=extra)
