"""The ends of Django's requests and of its database connections, whatever stands between Django and the engine.

Django learns that a request is over when the response's close() is called. Where a middleware keeps that to itself, or
a deadline ends the view, connections and caches would stay with the thread: here request_finished is fired then.
"""

from time import monotonic
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections

from penstock import log
from penstock._native import request_begins, request_ends
from penstock.app import Application
from penstock.gateway.middleware import Layer, suspects, unnamed

DJANGO = unnamed(WSGIHandler)  # wraps nothing, and loses nothing


class DjangoLifecycle:
    """What the engine tells Django; see `Lifecycle` in _native.pyi. `application` is the project's own."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.told: set[str] = set()
        # Native receivers that count in each thread: 0.6 µs a request for both.
        request_started.connect(request_begins, weak=False)
        request_finished.connect(request_ends, weak=False)

    def unfinished(self, environ: dict[str, Any], has_failed: bool) -> None:
        """Fires request_finished for the request of this thread, and says once who has kept its end to himself.

        Nobody has when the call has failed: an exception, or a deadline, has passed Django by.
        """
        request_finished.send_robust(sender=WSGIHandler)
        if not has_failed:
            self.tell(environ)

    def tell(self, environ: dict[str, Any]) -> None:
        """Names who did not call close(), or watches the layers to know it the next time."""
        names = [name for name in suspects(environ, self.application) if name != DJANGO]
        Layer.is_watched = len(names) > 1
        who = names[0] if len(names) == 1 else f"one of {', '.join(names)}" if names else "something around Django"
        if who in self.told:
            return
        self.told.add(who)
        request = f"{environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']}{environ['PATH_INFO']}"
        more = "; the next such request will show which one" if Layer.is_watched else ""
        log.warning(
            f"{request}: {who} does not call close() on the response inside, as PEP 3333 asks, so Django misses the "
            f"end of the request; Penstock tells it{more}"
        )

    def rest(self) -> float | None:
        """Closes those connections of this thread whose CONN_MAX_AGE is over. Seconds until that is so of the next."""
        close_old_connections()
        kept = [connection for connection in connections.all(initialized_only=True) if connection.connection]
        return min((age.close_at - monotonic() for age in kept if age.close_at is not None), default=None)

    def leave(self) -> None:
        """Closes all connections of this thread."""
        connections.close_all()

    def close(self) -> None:
        """Closes what the threads have shared; they have all left."""
        close_pools(connections.all())


def close_pools(opened: list[Any]) -> None:
    """Closes the pools of these connections, and so ends the threads of those."""
    for connection in opened:
        # Only some databases have pools, by alias or by alias and user. Closing one that nobody opened would open it.
        pools = getattr(connection, "_connection_pools", ())
        if any(connection.alias in (pool, pool[0]) for pool in pools):
            connection.close_pool()
