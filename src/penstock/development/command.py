"""`penstock runserver`: reads its words, then becomes the reloader, or serves. `manage.py` comes another way."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from penstock.app import Found, enter, failure, find
from penstock.config import Config, load
from penstock.development.address import parse
from penstock.development.flags import FLAGS
from penstock.development.plan import Plan
from penstock.errors import AppNotFound


def runserver(options: Mapping[str, Any], start: str) -> int:
    """Runs the server. `options` has the flags by name, the address, and settings that were given."""
    flags = [names[0] for names in FLAGS if options[names[0].strip("-").replace("-", "_")]]
    given = {name: options[name] for name in ("settings", "env", "chdir") if name in options}
    address = parse(options["address"], options["ipv6"])
    config = load(given, os.environ, start)
    found = find_project(config)
    arguments = ["penstock", "runserver", *([options["address"]] if options["address"] else []), *flags]
    if options["noreload"]:
        run_here(config, found, arguments)
        return 0
    from penstock.development.reloader import Reloader  # noqa: PLC0415 (only when it reloads)

    return Reloader(Plan(arguments, "", True, given, start, address, "penstock runserver")).run()


def find_project(config: Config) -> Found:
    """The Django project; AppNotFound when there is none."""
    found = find(config, os.environ)
    if not found.settings:
        raise AppNotFound(
            "`penstock runserver` is for Django projects, and this is none",
            "for other applications there is `penstock serve --reload`",
        )
    return found


def run_here(config: Config, found: Found, arguments: list[str]) -> None:
    """Runs Django's command in this process. Raises AppFailed."""
    enter(found, config)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", found.settings)
    sys.argv = arguments
    try:
        import django  # noqa: PLC0415

        django.setup()
        from penstock.django.management.commands.runserver import Command  # noqa: PLC0415
    except (Exception, SystemExit) as error:
        raise failure(
            f"Django cannot start with the settings {found.settings}", error, found.settings_origin
        ) from error
    Command().run_from_argv(arguments)
