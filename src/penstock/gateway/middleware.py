"""Wraps an application in WSGI middleware, as one would by hand in wsgi.py, and knows which layer loses close().

Middleware that cannot be made is refused with its name and who asked for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from penstock.app import Application, failure, import_named
from penstock.errors import AppFailed

PASSAGES = "penstock.passages"  # in the environ: the layers that the request has come through


def wrap(application: Application, targets: Sequence[str], origin: str) -> Application:
    """The application inside each of the middlewares, the first of them outermost.

    `origin` is who named them. Raises AppNotFound, or AppFailed when one of them cannot be made.
    """
    layer = layer_of(application)
    for target in reversed(targets):
        layer = Layer(wrap_once(layer, target, f"middleware {target} ({origin})"), f"the middleware {target}")
    return layer


def wrap_once(application: Application, target: str, what: str) -> Application:
    """The application inside one middleware; `what` names it in errors."""
    middleware, _ = import_named(target, what)
    try:
        wrapped: Application = middleware(application)
    except (Exception, SystemExit) as error:
        failed = failure(f"{what} cannot be made", error)
        hint = "it is called with the application alone, as in `application = Middleware(application)`"
        raise type(failed)(failed.message, failed.hint or hint, failed.detail) from error
    if not callable(wrapped):
        raise AppFailed(
            f"{what} has made a {type(wrapped).__name__}, which is no application",
            "a middleware is called with an application and returns one: something that takes environ, start_response",
        )
    return wrapped


def name_of(application: Application) -> str:
    """A function's own name, or that of an object's class, with the module."""
    named: Any = application if hasattr(application, "__qualname__") else type(application)
    return f"{named.__module__}.{named.__qualname__}"


def unnamed(application: Application) -> str:
    """What to call an application that no setting names; by hand it may have been wrapped more than once."""
    return f"{name_of(application)}, or what it wraps,"


def layer_of(application: Application) -> "Layer":
    """An application that is no middleware of ours, as a layer, unless it is one already."""
    return application if isinstance(application, Layer) else Layer(application, unnamed(application))


class Layer:
    """One middleware, or the application within all of them; looks like what it stands for."""

    is_watched = False  # all of them, once a close() was lost

    def __init__(self, application: Application, name: str) -> None:
        self.application, self.name = application, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.application, name)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        passage = Passage(self.name)
        environ.setdefault(PASSAGES, []).append(passage)
        result = self.application(environ, start_response)
        if not Layer.is_watched:
            return result
        passage.result = result
        return passage


class Passage:
    """One request's way through one layer; when layers are watched, it stands for what the layer has returned."""

    __slots__ = ("is_closed", "name", "result")

    def __init__(self, name: str) -> None:
        self.name = name
        self.result: Any = None
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.result)

    def close(self) -> None:
        """Called by the layer around this one, if it keeps to PEP 3333."""
        self.is_closed = True
        if hasattr(self.result, "close"):
            self.result.close()


def suspects(environ: Mapping[str, Any], application: Application) -> list[str]:
    """Who may have lost the close() of this request's response, the outermost first; one name where it is known.

    `application` is the one to name when none is configured.
    """
    passages = environ.get(PASSAGES, [])
    if not passages:
        return [unnamed(application)]
    if passages[0].result is None:
        return [passage.name for passage in passages]
    for outer, inner in pairwise(passages):
        if not inner.is_closed:
            return [outer.name]
    return [passages[-1].name]
