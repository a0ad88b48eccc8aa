"""Sends requests below a URL to other applications, with SCRIPT_NAME and PATH_INFO as PEP 3333 has them.

ASGI applications are called through a2wsgi. Refuses nothing: what is below no mount is the main application's.
"""

import inspect
import sys
import threading
from collections.abc import Mapping
from typing import Any

from penstock.app import Application, import_named
from penstock.django.second_project import refuse_second_project
from penstock.errors import ConfigurationError
from penstock.gateway.middleware import layer_of


def mount(main: Application, targets: Mapping[str, str], origin: str) -> Application:
    """The main application with others below their prefixes.

    `targets` are by prefix, which begins with a slash and does not end with one; `origin` is who named them. Raises
    AppNotFound, AppFailed, or ConfigurationError when an ASGI application lacks a2wsgi.
    """
    mounted = {prefix: layer_of(load(prefix, target, origin)) for prefix, target in targets.items()}
    return Mounts(layer_of(main), mounted)


def load(prefix: str, target: str, origin: str) -> Application:
    """One mounted application, callable as WSGI."""
    what = f"the mount {prefix} = {target} ({origin})"
    before = set(sys.modules)
    application, _ = import_named(target, what)
    refuse_second_project(target.partition(":")[0], before, what)
    return adapt(application, what) if is_asgi(application) else application


class Mounts:
    """Calls the application with the longest prefix of the path."""

    def __init__(self, main: Application, applications: Mapping[str, Application]) -> None:
        self.main = main
        # PEP 3333: the environ's strings are bytes in disguise, one character for each.
        native = {prefix.encode().decode("latin-1"): application for prefix, application in applications.items()}
        self.mounts = [(prefix, prefix + "/", native[prefix]) for prefix in sorted(native, key=len, reverse=True)]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        path = environ["PATH_INFO"]
        for prefix, below, application in self.mounts:
            # /blog and what is below it, not /blogs.
            if path == prefix or path.startswith(below):
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
                environ["PATH_INFO"] = path[len(prefix) :]
                return application(environ, start_response)
        return self.main(environ, start_response)


def is_asgi(application: Application) -> bool:
    """Whether calling it makes a coroutine."""
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(
        getattr(application, "__call__", None)  # noqa: B004 (what it would run, not whether it could)
    )


def adapt(application: Application, what: str) -> Application:
    """An ASGI application as a WSGI one. ConfigurationError when a2wsgi is missing."""
    try:
        from a2wsgi import ASGIMiddleware  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ConfigurationError(
            f"{what} is an ASGI application, and a2wsgi, which can call it, is not installed",
            "pip install 'penstock[asgi]'",
        ) from error
    return Adapted(ASGIMiddleware, application)


class Adapted:
    """An ASGI application whose event loop starts with the first request: its thread would not survive a fork."""

    def __init__(self, adapter: Any, application: Application) -> None:
        self.adapter, self.application = adapter, application
        self.adapted: Application | None = None
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        adapted = self.adapted or self.start()
        return adapted(environ, start_response)

    def start(self) -> Application:
        """The adapter with its event loop: one for all threads."""
        with self.lock:
            self.adapted = self.adapted or self.adapter(self.application)
            return self.adapted
