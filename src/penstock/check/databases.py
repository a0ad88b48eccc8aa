"""The connections that the site may open, against what its databases allow. Asks them, for two seconds at most."""

import os
from collections.abc import Iterator
from typing import Any

from penstock import capacity
from penstock.app import shorten
from penstock.check.findings import Finding, finding
from penstock.check.project import Project
from penstock.check.source import place_of
from penstock.supervisor.limits import limits_of

PATIENCE = 2  # seconds: a database that is needed by every page answers sooner
SHOWN = 3  # migrations; the others are counted
POOL_SIZE = 4  # psycopg_pool's own, when nothing else is said

# How many connections there are for the user and the database of this one. What has no limit is left out.
QUESTIONS = {
    "postgresql": """
        SELECT min(least) FROM (
            SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            UNION ALL SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user
            UNION ALL SELECT datconnlimit FROM pg_database WHERE datname = current_database()
        ) AS limits (least) WHERE least >= 0""",
    "mysql": "SELECT IF(@@max_user_connections > 0, @@max_user_connections, @@max_connections)",
}


def check(project: Project) -> Iterator[Finding]:
    """Each database of a Django project."""
    if not project.settings:
        return
    from django.db import connections  # noqa: PLC0415 (only with Django)

    place = place_of(project.module, "DATABASES")
    for alias in connections:
        try:
            connection = connections[alias]
        except Exception as error:  # the driver is not installed, or raises what it likes
            yield finding("W502", f"the database {alias!r} cannot be used: {in_a_line(error)}", object=place)
            continue
        yield from connecting(project, connection, place)
        if project.is_deploy:
            yield from answers(project, connection, place)


def connecting(project: Project, connection: Any, place: str) -> Iterator[Finding]:
    """How the workers would connect to one of them."""
    alias, settings = connection.alias, connection.settings_dict
    workers, threads = most_workers(project), count_threads(project)
    if connection.vendor == "sqlite":
        if workers > 1 and not is_immediate(connection):
            yield finding("I509", f"{workers} workers write to the SQLite file of {alias!r}", object=place)
        return
    pool = pool_size(settings)
    if pool and settings["CONN_MAX_AGE"] != 0:
        yield finding("E503", f"{alias!r} has a pool and CONN_MAX_AGE", object=place)
    elif pool and pool < threads:
        message = f"the pool of {alias!r} has {pool} connections, a worker {threads} threads"
        yield finding("W504", message, object=place)
    elif not pool and settings["CONN_MAX_AGE"] == 0:
        yield finding("I505", f"{alias!r} is connected to anew by each request", object=place)


def answers(project: Project, connection: Any, place: str) -> Iterator[Finding]:
    """What one of them says: how many connections it allows, and whether its tables are up to date."""
    alias = connection.alias
    if connection.vendor == "sqlite" and not os.path.isfile(connection.settings_dict["NAME"]):
        # Connecting would make it.
        name = shorten(str(connection.settings_dict["NAME"]))
        yield finding("W502", f"there is no file {name} yet", hint="run `python manage.py migrate`", object=place)
        return
    own = single(connection)
    try:
        allowed = ask(own)
        lacking = unapplied(own)
    except Exception as error:  # a driver's own, or Django's, or that of the operating system
        yield finding("W502", f"the database {alias!r} does not answer: {in_a_line(error)}", object=place)
        return
    finally:
        own.close()
    wanted = most_workers(project) * (pool_size(connection.settings_dict) or count_threads(project))
    if allowed and wanted > allowed:
        message = f"the site may open {wanted} connections to {alias!r}, which allows {allowed}"
        yield finding("W501", message, object=place)
    if lacking:
        shown = ", ".join(lacking[:SHOWN]) + (", …" if len(lacking) > SHOWN else "")
        yield finding("E510", f"{alias!r} lacks {len(lacking)} migrations: {shown}", object=place)


def single(connection: Any) -> Any:
    """A connection beside that of the project: without its pool, and not for long."""
    own = connection.copy()
    if own.vendor in QUESTIONS:
        options = {key: value for key, value in own.settings_dict["OPTIONS"].items() if key != "pool"}
        own.settings_dict["OPTIONS"] = options | {"connect_timeout": PATIENCE}
    return own


def ask(connection: Any) -> int:
    """The connections that there are for this user and this database; 0 when it does not say."""
    if connection.vendor not in QUESTIONS:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(QUESTIONS[connection.vendor])
        return int(cursor.fetchone()[0])


def unapplied(connection: Any) -> list[str]:
    """The migrations that `manage.py migrate` would apply."""
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def most_workers(project: Project) -> int:
    """Workers when there is much to do."""
    return limits_of(project.config).most_workers


def count_threads(project: Project) -> int:
    """Threads of one of them."""
    threads = project.config.threads
    return capacity.THREADS if threads == "auto" else int(threads)


def in_a_line(error: Exception) -> str:
    """What an exception says; drivers like to say it in several lines."""
    return " ".join(str(error).split()) or type(error).__name__


def pool_size(settings: Any) -> int:
    """The most connections of a process's pool; 0 without one."""
    pool = settings["OPTIONS"].get("pool")
    if not pool:
        return 0
    options = pool if isinstance(pool, dict) else {}
    return int(options.get("max_size") or options.get("min_size") or POOL_SIZE)


def is_immediate(connection: Any) -> bool:
    """Whether transactions of an SQLite take their lock when they begin, and so wait instead of failing."""
    return str(connection.settings_dict["OPTIONS"].get("transaction_mode") or "").upper() in ("IMMEDIATE", "EXCLUSIVE")
