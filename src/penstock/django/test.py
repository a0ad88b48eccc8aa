"""Live servers for tests that run on Penstock's engine: `from penstock.django.test import LiveServerTestCase`.

The classes behave as Django's own of the same names, on the server that production has. Static and media files come
from Django's handlers, so that settings may change within a test.
"""

import os
import threading
from collections.abc import Iterable
from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.db import connections
from django.test import testcases

from penstock.config import load
from penstock.development.address import Address, listen
from penstock.development.refresh import Application
from penstock.development.server import EngineServer
from penstock.hooks import Followed

GRACE = 5  # seconds that requests in flight get at the end: the database goes away under them


class Server:
    """What Django's LiveServerThread takes for a server."""

    def __init__(
        self,
        address: tuple[str, int],
        _request_handler: object = None,
        *,
        allow_reuse_address: bool = False,  # noqa: ARG002 (port 0 is always a free one)
        connections_override: dict[str, Any] | None = None,
    ) -> None:
        self.connections_override = connections_override or {}
        self.listener = listen(Address(*address, has_ipv6=":" in address[0]))
        self.server_address = self.listener.socket.getsockname()
        self.has_ended = threading.Event()
        self.server: EngineServer

    def set_app(self, application: Application) -> None:
        """The application to serve."""

        def with_connections(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            for alias, connection in self.connections_override.items():
                connections[alias] = connection
            # A test database cannot be removed while a thread has a connection to it.
            return Followed(application(environ, start_response), connections.close_all)

        config = load({}, os.environ, os.getcwd())
        self.server = EngineServer(with_connections, self.listener, config, mounts=[])

    def serve_forever(self) -> None:
        """Serves until shutdown()."""
        try:
            self.server.run()
        finally:
            self.has_ended.set()

    def shutdown(self) -> None:
        """Stops, and waits for the end."""
        self.server.stop(GRACE)
        self.has_ended.wait()

    def server_close(self) -> None:
        """Gives the address up."""
        self.listener.socket.close()


class EngineThread(testcases.LiveServerThread):  # type: ignore[misc]  # Django has no types
    """The thread that the server runs in."""

    server_class = Server


class LiveServerTestCase(testcases.LiveServerTestCase):  # type: ignore[misc]
    """Django's LiveServerTestCase on Penstock's engine."""

    server_thread_class = EngineThread


class StaticLiveServerTestCase(LiveServerTestCase):
    """The same with the files that the staticfiles finders find, without collectstatic."""

    static_handler = StaticFilesHandler
