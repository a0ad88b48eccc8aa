"""Loads the modules and scripts that know users and addresses: modules by name, files as mod_wsgi has them."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from penstock.app import failure, import_module, shorten
from penstock.errors import AppNotFound, PenstockError, nearest


def load_object(target: str, origin: str) -> Any:
    """What `module`, `module:object`, or a path in the module's place means; `origin` is who named it.

    Raises AppNotFound or AppFailed.
    """
    path, _, attribute = target.partition(":")
    try:
        value = import_file(path) if path.endswith((".py", ".wsgi")) else import_module(path)
        for name in attribute.split(".") if attribute else ():
            value = attribute_of(value, name, path)
    except PenstockError as error:
        raise type(error)(f"{origin}: {error.message}", error.hint, error.detail) from error
    return value


def load_function(target: str, name: str, origin: str) -> Callable[..., object]:
    """The function that a target names itself, or the one called `name` in it."""
    value = load_object(target, origin)
    if not callable(value):
        try:
            value = attribute_of(value, name, target)
        except AppNotFound as error:
            raise AppNotFound(f"{origin}: {error.message}", error.hint) from error
    function: Callable[..., object] = value
    return function


def attribute_of(value: Any, name: str, place: str) -> Any:
    """An attribute. AppNotFound with the most similar one."""
    try:
        return getattr(value, name)
    except AttributeError as error:
        raise AppNotFound(f"{place} has no {name}", nearest(name, vars(value))) from error


def import_file(path: str) -> ModuleType:
    """The module in a file, run once however many rules name it, and apart from a module of the same name."""
    if path in sys.modules:
        return sys.modules[path]
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise AppNotFound(f"{shorten(path)} cannot be read: {error.strerror}") from error
    module = sys.modules[path] = ModuleType(path)
    module.__file__ = path
    try:
        exec(compile(source, path, "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[path]
        raise failure(f"{shorten(path)} cannot be loaded", error) from error
    return module
