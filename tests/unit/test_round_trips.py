"""A setting, exported and imported again: the same value, or a note of the export that it cannot be said there."""

import os
from pathlib import Path
from typing import Any

import pytest
from imports import run_import

from penstock import capacity
from penstock.app import find
from penstock.config import Config, load, read_default
from penstock.interop.export.command import export
from penstock.interop.export.deployment import Wishes, gather
from penstock.kinds import Choice, Count, Duration, Flag, Measure
from penstock.kinds import Path as PathKind
from penstock.settings import BY_NAME, LAYERED, Setting

# Values for the settings whose kind does not tell one that is not the default.
CHOSEN: dict[str, Any] = {
    "app": "shop:other",
    "env": "live",
    "environment": ["GREETING=good 100% $day"],
    "secrets": ["PATIENCE"],
    "probe": "/probe",
    "probe_host": "shop.example",
    "middleware": ["layers:Layer"],
    "mounts": ["/blog=blog:app"],
    "bind": ["127.0.0.1:8123", "unix:/run/shop/web.sock"],
    "health_path": "/healthz",
    "workers": "3",
    "threads": "5",
    "forwarded_allow": ["10.1.0.0/16", "unix"],
    "uwsgi_allow": ["10.1.0.1"],
    "auth": [{"path": "/reports", "users": ["ann", "ben"], "groups": ["staff"], "realm": "The books"}],
    "allow": ["10.0.0.0/8"],
    "deny": ["192.0.2.0/24"],
    "static": ["/files/=files"],
    "protected": ["/private/=private"],
    "access_log": "access.log",
    "access_log_format": '%(h)s %(r)s %(s)s "%(f)s"',
    "log_config": "logs:CONFIG",
    "admin_bind": ["127.0.0.1:9123"],
    "statsd": "127.0.0.1:8125",
    "statsd_prefix": "shop",
    "user": "www-data",
    "group": "www-data",
    "umask": "027",
    "processes": ["queue=python queue.py"],
    "schedule": ["0 4 * * *=python tidy.py"],
    "schedule_time_zone": "Europe/Berlin",
    "release": ["python migrate.py"],
    "silenced_checks": ["penstock.W001"],
    "max_request_line": "4KiB",
    "response_memory": "128KiB",
    "max_memory": "64MiB",
    "max_memory_hard": "64MiB",
    "limit_memory": "64MiB",
}
# What each kind can say, and must say so that it comes back.
SAYS = {
    "gunicorn": "app env environment bind backlog workers threads timeout graceful_timeout max_requests "
    "max_requests_jitter max_connections keep_alive_timeout max_request_line max_fields forwarded_allow "
    "proxy_protocol access_log access_log_format error_log log_level pid_file statsd statsd_prefix user group umask "
    "preload python_path reload temp_dir",
    "uwsgi": "app env environment bind backlog workers threads timeout graceful_timeout max_requests "
    "max_requests_jitter max_lifetime max_memory max_memory_hard max_head max_body body_memory error_log access_log "
    "pid_file user group umask preload python_path static mounts venv limit_memory limit_files",
    "mod_wsgi": "app env environment backlog workers threads timeout graceful_timeout queue_timeout max_requests "
    "max_lifetime max_body mounts user group umask python_path static static_max_age auth allow deny access_log "
    "error_log log_level forwarded_allow venv nice limit_memory boot_timeout max_fields max_request_line "
    "keep_alive_timeout",
}
WORDS = {setting.name for setting in LAYERED} - {"settings", "secrets"}
SAYS_ALL = {
    "procfile": WORDS - {"bind", "admin_bind", "user", "group", "control", "pid_file", "access_log", "python", "venv"},
    "docker": WORDS - {"bind", "admin_bind", "user", "group", "control", "pid_file", "access_log", "python", "venv"},
    "systemd": WORDS - {"control", "user", "group"},
}
# What is said in a file that stays where it is.
STAYS = {("systemd", "user"): "User", ("systemd", "group"): "Group"}
# What the place itself wants to have otherwise.
ADDED = {"procfile": {"access_log"}, "docker": {"access_log", "bind", "health_path"}, "systemd": {"control"}}
# What a setting needs beside it to mean anything.
BESIDE = {"static_max_age": {"static": ["/files/=files"]}}
VARIABLES = {"PATIENCE": "a value of some length"}
CARRIES = {kind: set(names.split()) for kind, names in SAYS.items()} | SAYS_ALL
FILES = {
    "gunicorn": ["gunicorn.conf.py"],
    "uwsgi": ["shop.uwsgi.ini"],
    "mod_wsgi": ["shop.conf"],
    "procfile": ["Procfile"],
    "docker": ["Dockerfile"],
    "systemd": ["shop.service", "shop.socket"],
}


def other_than_default(setting: Setting) -> Any:
    """A value that somebody could choose."""
    value: Any
    match setting.kind:
        case Flag():
            value = not read_default(setting)
        case Choice(words=words):
            value = next(word for word in words if word != setting.default)
        case Duration():
            value = "7s"
        case Measure():
            value = "48KiB"
        case Count():
            value = "11"
        case PathKind():
            value = f"var/{setting.name}"
        case kind:
            value = ["somewhere"] if kind.repeatable else "shop:function"
    return CHOSEN.get(setting.name, value)


class Trip:
    """A project that is exported, and imported from what was written."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
        self.directory, self.capsys, self.kind = directory, capsys, kind
        self.notes: list[str] = []

    def go(self, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The resolved settings, before and after."""
        before = load({"app": "shop:application", **arguments}, {}, str(self.directory))
        deployment = gather(before, VARIABLES, Wishes(name="shop", listen="8080"))
        exported = export(self.kind, deployment)
        self.notes = [*deployment.notes, *exported.notes]
        for name, text in exported.files.items():
            self.directory.joinpath(name).write_text(text)
        sources = [self.directory / name for name in FILES[self.kind] if name in exported.files]
        imported = run_import(self.capsys, self.directory, *sources, "--force")
        assert [text for text, verdict in imported.verdicts.items() if verdict == "unknown"] == []
        return resolved(before), resolved(imported.config())

    def has_note(self, name: str) -> bool:
        """Whether the export has said what becomes of a setting."""
        return any(note.startswith((f"{name} ", f"{name}:")) for note in self.notes)


def resolved(config: Config) -> dict[str, Any]:
    """What is served: where a setting can be said in two ways, what both of them mean."""
    values = {setting.name: config.values[setting.name].value for setting in LAYERED}
    found = find(config, VARIABLES)
    values |= {
        "app": f"{found.module}:{found.attribute}",
        "chdir": found.directory,
        "environment": {name: variable.value for name, variable in found.variables.items() if name not in VARIABLES},
    }
    del values["settings"]
    # A rule for the whole site can be written in two ways.
    for table in values["auth"]:
        if (table["path"], table["provider"], len(values["auth"])) == ("/", "none", 1):
            values |= {"allow": table["allow"], "deny": table["deny"], "auth": []}
    values["threads"] = capacity.THREADS if values["threads"] == "auto" else values["threads"]
    return values


@pytest.fixture
def project(own_process, tmp_path):
    """A directory with a module, working directory and import path of the test's own."""
    tmp_path.joinpath("shop.py").write_text("application = other = lambda environ, start_response: []\n")
    tmp_path.joinpath(".env.live").write_text("")
    os.chdir(tmp_path)
    return tmp_path


TRIPS = [
    pytest.param(kind, setting, id=f"{kind}-{setting.name}")
    for kind in FILES
    for setting in LAYERED
    if setting.name not in ("chdir", "settings")
]


@pytest.mark.parametrize("kind", FILES)
def test_all_that_can_be_said_comes_back_at_once(project, capsys, kind):
    # Only one of both names an interpreter; and Apache's guard of a path has the addresses of the whole site in it.
    together = CARRIES[kind] - {"python", "chdir"} - ({"allow", "deny"} if kind == "mod_wsgi" else set())
    trip = Trip(project, capsys, kind)
    before, after = trip.go(**{name: other_than_default(BY_NAME[name]) for name in together})
    assert {name: after[name] for name in together} == {name: before[name] for name in together}


@pytest.mark.parametrize(("kind", "setting"), TRIPS)
def test_a_setting_comes_back_from_another_program_or_is_in_the_notes(project, capsys, kind, setting):
    trip = Trip(project, capsys, kind)
    before, after = trip.go(**{setting.name: other_than_default(setting)}, **BESIDE.get(setting.name, {}))
    if setting.name in CARRIES[kind]:
        assert after[setting.name] == before[setting.name]
    elif (kind, setting.name) in STAYS:
        assert (
            f"{STAYS[kind, setting.name]}={before[setting.name]}"
            in trip.directory.joinpath("shop.service").read_text()
        )
    else:
        assert trip.has_note(setting.name), trip.notes
    changed = {name for name in before if before[name] != after[name]} - {setting.name}
    assert {name for name in changed if not trip.has_note(name)} <= ADDED.get(kind, set())
