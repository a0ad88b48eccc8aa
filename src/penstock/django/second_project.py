"""Finds out when a process would run two Django projects: Django has one settings module in a process.

Compares what runs with what modules say in their source. Imports nothing.
"""

import os
import sys
from collections.abc import Collection

from penstock.django.project import VARIABLE, Choice, default_settings
from penstock.errors import ConfigurationError


def running_settings() -> str:
    """The settings module that Django uses in this process, or will use; "" without one."""
    conf = sys.modules.get("django.conf")
    if conf and conf.settings.configured:
        return getattr(conf.settings, "SETTINGS_MODULE", None) or ""
    return os.environ.get(VARIABLE, "")


def refuse_second_project(module: str, before: Collection[str], what: str) -> None:
    """Refuses what has just been loaded when it belongs to another Django project than the one that runs.

    `module` is the module that was asked for, `before` holds the names in sys.modules before it was imported, `what`
    names it for a person: "the mount /blog". Raises ConfigurationError.
    """
    running = Choice(running_settings(), "")
    for name in sorted(set(sys.modules) - set(before)):
        if name != module and not name.endswith("wsgi"):
            continue
        own = Choice(default_settings(getattr(sys.modules[name], "__file__", None) or "", os.environ) or "", name)
        # A default that nobody has, such as the name of a project before it was renamed, means no project.
        if own.module and own.package != running.package and is_importable(own.package):
            raise ConfigurationError(
                f"{what} brings a second Django project: this process already runs with {running.module}, "
                f"and {name} wants {own.module}",
                "Django has one settings module in a process: give this project a site of its own, as [sites.NAME] "
                "in penstock.toml",
            )


def is_importable(package: str) -> bool:
    """Whether a package or module of this name could be imported."""
    from importlib.util import find_spec  # noqa: PLC0415 (only asked when there is a doubt)

    return package in sys.modules or find_spec(package) is not None
