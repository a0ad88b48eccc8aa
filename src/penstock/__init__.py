"""Puts a Django project, or any WSGI application, on the web. Imports nothing before it is needed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.errors import RequestTimeout

__all__ = ["RequestTimeout", "__version__"]


def __getattr__(name: str) -> object:
    """The version is asked of the engine when somebody wants it: package metadata costs 20 ms of every start."""
    if name == "RequestTimeout":
        from penstock.errors import RequestTimeout  # noqa: PLC0415

        return RequestTimeout
    if name == "__version__":
        from penstock._native import version  # noqa: PLC0415

        return version()
    raise AttributeError(f"module 'penstock' has no attribute {name!r}")
