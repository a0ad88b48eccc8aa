"""Asks an application for one page before its worker takes requests. In this process, over no socket."""

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any
from wsgiref.util import setup_testing_defaults

from penstock.app import own_traceback
from penstock.errors import AppFailed

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]


def probe(application: Callable[..., Any], url: str, host: str, scheme: str = "http") -> None:
    """Calls it once. AppFailed when it raises or answers with a status of 500 or above."""
    path, _, query = url.partition("?")
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": host or host_of_django(),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_USER_AGENT": "penstock-probe",
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": scheme,
    }
    setup_testing_defaults(environ)
    told: list[str] = []

    def start_response(
        status: str, _headers: list[tuple[str, str]], _exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        told[:] = [status]
        return lambda _: None

    try:
        response = application(environ, start_response)
        try:
            for _ in response:
                pass
        finally:
            close = getattr(response, "close", None)
            if close:
                close()
    except Exception as error:
        detail = own_traceback(error)
        raise AppFailed(f"the probe of {url} raised {type(error).__name__}: {error}", "", detail) from error
    if not told or told[0] >= "5":
        status = told[0] if told else "no status"
        raise AppFailed(f"the probe of {url} was answered with {status}", "the application's own log may say why")


def host_of_django() -> str:
    """The first name that Django allows; localhost without Django, or when it allows any."""
    if "django.conf" not in sys.modules or not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return "localhost"
    from django.conf import settings  # noqa: PLC0415 (only with Django)

    # ".example.org" stands for example.org too.
    return next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name.strip(".*")), "localhost")
