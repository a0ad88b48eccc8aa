"""Penstock's checks among Django's own: `manage.py check`, and with --deploy those for production. No request is made.

Both are silenced by SILENCED_SYSTEM_CHECKS, as any other, and by silenced_checks in penstock.toml.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.check.findings import Finding

TAG = "penstock"


def register() -> None:
    """Tells Django of them."""
    from django.core import checks  # noqa: PLC0415 (Django is set up by now)

    checks.register(check, TAG)
    checks.register(check_for_production, TAG, deploy=True)


def check(**_: Any) -> list[Any]:
    """What is wrong wherever the project runs."""
    return [message(found) for found in findings(is_deploy=False)]


def check_for_production(**_: Any) -> list[Any]:
    """What is wrong in production only; Django runs `check` too."""
    always = findings(is_deploy=False)
    return [message(found) for found in findings(is_deploy=True) if found not in always]


def findings(is_deploy: bool) -> "list[Finding]":
    """What can be found without loading the application: that may be what is under way."""
    # Only now: a server that has the app among its INSTALLED_APPS checks nothing.
    from django.conf import settings  # noqa: PLC0415

    from penstock.check.findings import finding  # noqa: PLC0415
    from penstock.check.machine import Machine  # noqa: PLC0415
    from penstock.check.project import Project  # noqa: PLC0415
    from penstock.check.run import static_findings  # noqa: PLC0415
    from penstock.config import load  # noqa: PLC0415
    from penstock.errors import PenstockError  # noqa: PLC0415

    directory = directory_of_manage()
    try:
        config = load({}, os.environ, directory)
    except PenstockError as error:
        return [finding("E007", error.message, hint=error.hint)]
    project = Project(config, Machine.look(), is_deploy, directory, settings=settings, module=settings.SETTINGS_MODULE)
    return [found for found in static_findings(project) if found.id not in config.silenced_checks]


def directory_of_manage() -> str:
    """Where manage.py is, when it is what runs; else the working directory."""
    directory, name = os.path.split(os.path.abspath(sys.argv[0]))
    return directory if name == "manage.py" else os.getcwd()


def message(found: "Finding") -> Any:
    """A finding as Django writes it."""
    from django.core.checks import CheckMessage, messages  # noqa: PLC0415

    level = getattr(messages, found.level.upper())
    return CheckMessage(level, f"{found.message}. {found.why}", hint=found.hint, obj=found.object or None, id=found.id)
