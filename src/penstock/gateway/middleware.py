"""Wraps an application in WSGI middleware, as one would by hand in wsgi.py. Calls none of it with a request."""

from collections.abc import Sequence

from penstock.app import Application, failure, import_named
from penstock.errors import AppFailed


def wrap(application: Application, targets: Sequence[str], origin: str) -> Application:
    """The application inside each of the middlewares, the first of them outermost.

    `origin` is who named them. Raises AppNotFound, or AppFailed when one of them cannot be made.
    """
    for target in reversed(targets):
        application = wrap_once(application, target, f"middleware {target} ({origin})")
    return application


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
