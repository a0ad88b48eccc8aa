"""What the checks look at: the configuration, Django's settings, the machine. Opening it runs the application's code.

What cannot be opened is a finding; the rest is checked all the same.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock import app
from penstock.boot import boot_deadline
from penstock.check.findings import Finding, finding
from penstock.check.machine import Machine
from penstock.config import Config
from penstock.django.project import VARIABLE
from penstock.errors import PenstockError
from penstock.gateway.compose import compose


class Project(NamedTuple):
    """Nothing in it is changed by a check."""

    config: Config
    machine: Machine
    is_deploy: bool
    directory: str  # of manage.py or penstock.toml, where .env is
    application: Any = None  # without its layers; None when it cannot be loaded, or is not asked for
    settings: Any = None  # django.conf.settings; None without Django
    module: str = ""  # Django's settings module


class Opened(NamedTuple):
    """The project, and what was found on the way."""

    project: Project
    findings: list[Finding]


def open_project(config: Config, environment: Mapping[str, str], is_deploy: bool) -> Opened:
    """Finds and loads the application in this process, as a mold does, and warms Django up. Raises nothing."""
    try:
        found = app.find(config, environment)
    except PenstockError as error:
        project = Project(config, Machine.look(), is_deploy, config.directory)
        return Opened(project, [failed("E001", error)])
    findings = []
    application = None
    try:
        with boot_deadline(config.boot_timeout):
            application = app.load(found, config).application
    except PenstockError as error:
        findings.append(failed("E002", error))
    else:
        findings += around(application, config)
    settings = django_settings(config.boot_timeout) if os.environ.get(VARIABLE) else None
    if settings and not findings:
        from penstock.django.warmup import warm_up  # noqa: PLC0415 (only with Django)

        try:
            warm_up()
        except PenstockError as error:
            findings.append(failed("E003", error))
    module = os.environ.get(VARIABLE, "") if settings else ""
    machine = Machine.look()  # after loading: how large the application is
    return Opened(Project(config, machine, is_deploy, found.directory, application, settings, module), findings)


def around(application: app.Application, config: Config) -> list[Finding]:
    """What cannot be put around the application, or beside it."""
    try:
        compose(application, config)
    except PenstockError as error:
        return [failed("E010", error)]
    return []


def django_settings(patience: float) -> Any:
    """Django's settings when it can be set up with them in time; else None, and why has been said already."""
    try:
        import django  # noqa: PLC0415
        from django.conf import settings  # noqa: PLC0415

        with boot_deadline(patience):
            django.setup()
    except (Exception, SystemExit):
        return None
    return settings


def failed(id: str, error: PenstockError) -> Finding:
    """The finding for what could not be opened, with the error's own hint and traceback."""
    return finding(id, error.message, hint=error.hint, detail=error.detail)
