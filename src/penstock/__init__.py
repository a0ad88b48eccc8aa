"""Puts a Django project, or any WSGI application, on the web. Imports nothing before it is needed."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """The version is asked of the engine when somebody wants it: package metadata costs 20 ms of every start."""
    if name == "__version__":
        from penstock._native import version  # noqa: PLC0415

        return version()
    raise AttributeError(f"module 'penstock' has no attribute {name!r}")
