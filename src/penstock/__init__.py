"""Puts a Django project, or any WSGI application, on the web."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("penstock")
