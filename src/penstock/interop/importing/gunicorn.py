"""Imports gunicorn.conf.py and Gunicorn's command lines. What each flag becomes is in gunicorn_flags.py.

The file is Python, so it is run: in a process of its own, with a deadline and without this one's secrets.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.errors import ConfigurationError, UsageError, nearest
from penstock.gunicorn_flags import FLAGS
from penstock.interop.importing import defaults
from penstock.interop.importing.draft import (
    CARRIED,
    UNKNOWN,
    UNNEEDED,
    UNSUPPORTED,
    Directive,
    Draft,
    Into,
    Place,
    Site,
    join,
)
from penstock.kinds import Flag, Path
from penstock.settings import BY_NAME, LAYERED, TABLE

# Seconds for a file that usually takes milliseconds; one that waits for a network is to be heard of soon.
DEADLINE = 10
# What a configuration may need of this process's variables, and is no secret.
HARMLESS = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME")

# Settings of gunicorn.conf.py whose flag has another name.
FLAG_NAMES = {
    "accesslog": "--access-logfile",
    "access_log_format": "--access-logformat",
    "errorlog": "--error-logfile",
    "loglevel": "--log-level",
    "keepalive": "--keep-alive",
    "pidfile": "--pid",
    "proc_name": "--name",
    "preload_app": "--preload",
    "raw_env": "-e",
    "limit_request_field_size": "--limit-request-field_size",
    "logconfig": "--log-config",
    "logconfig_json": "--log-config-json",
    "syslog": "--log-syslog",
    "syslog_addr": "--log-syslog-to",
    "syslog_prefix": "--log-syslog-prefix",
    "syslog_facility": "--log-syslog-facility",
    "reload_extra_files": "--reload-extra-file",
    "raw_paste_global_conf": "--paste-global",
    "tmp_upload_dir": "--temp-dir",
    "proxy_allow_ips": "--proxy-allow-from",
    "uwsgi_allow_ips": "--uwsgi-allow-from",
    "wsgi_app": "TARGET",
    "config": "-c",
    "dirty_apps": "--dirty-app",
    "control_socket_disable": "--no-control-socket",
}
# What a hook is called here. The arguments differ: docs/guides/hooks.md.
HOOKS = {
    "on_starting": "on_start",
    "when_ready": "on_start",
    "on_reload": "on_reload",
    "post_fork": "post_fork",
    "post_worker_init": "on_ready",
    "worker_exit": "on_exit",
    "pre_request": "pre_request",
    "post_request": "post_request",
}
LOST_HOOKS = (
    "pre_fork",
    "worker_int",
    "worker_abort",
    "pre_exec",
    "child_exit",
    "nworkers_changed",
    "on_exit",
    "ssl_context",
    "on_dirty_starting",
    "dirty_post_fork",
    "dirty_worker_init",
    "dirty_worker_exit",
)
# Settings without a flag, and what to do instead.
LOST = {
    "secure_scheme_headers": "the scheme is read from Forwarded and X-Forwarded-Proto of the peers in forwarded_allow",
    "logconfig_dict": 'put the dictionary into a module of its own, and name it: log_config = "module:attribute"',
    "default_proc_name": "processes keep their own name",
    "sendfile": "files are sent by the kernel, and in other ways where it cannot",
}
CHANGED = {
    "timeout": "a deadline of each request, answered with 504; Gunicorn killed a worker that gave no sign for so long",
    "reload": "needs watchfiles; `penstock runserver` is made for development",
}


# What `penstock export gunicorn` writes for auto.
EVERY_CPU = re.compile(r"=\s*len\(os\.sched_getaffinity\(0\)\)$")


def import_file(path: str, draft: Draft, site: Site) -> None:
    """Imports a gunicorn.conf.py. Raises ConfigurationError with line and column when it cannot be run."""
    shown = os.path.relpath(path)
    places = assignments(path, shown)
    settings = evaluate(path, shown, draft.variables)
    base = join(os.path.dirname(path), str(settings.get("chdir") or "."))
    for name, value in settings.items():
        line, text = places.get(name, (0, ""))
        flag = flag_of(name)
        if line or flag in KNOWN or name in LOST:
            directive = Directive(Place(shown, line or 1), text or f"{name} = {value!r}")
            import_setting(name, value, directive, Into(draft, site, base))
    settle(draft, site)


def assignments(path: str, shown: str) -> dict[str, tuple[int, str]]:
    """The line and the text on which each name was set last. Raises ConfigurationError."""
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ConfigurationError(f"{shown}:{error.lineno}:{error.offset}: {error.msg}", "it must be Python") from error
    except ValueError as error:
        raise ConfigurationError(f"{shown}:1:1: {error}", "it must be Python, as text in UTF-8") from error
    lines = source.splitlines()
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = (node.lineno, lines[node.lineno - 1].strip())
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = (node.lineno, lines[node.lineno - 1].strip())
    return found


def evaluate(path: str, shown: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What the file sets when it is run. Raises ConfigurationError."""
    environment = {name: os.environ[name] for name in HARMLESS if name in os.environ} | dict(variables)
    script = os.path.join(os.path.dirname(__file__), "gunicorn_conf.py")
    try:
        process = subprocess.run(
            [sys.executable, "-E", "-s", script, path],
            cwd=os.path.dirname(path),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
            timeout=DEADLINE,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(
            f"{shown} did not end within {DEADLINE} seconds", "it must not wait for anything but itself"
        ) from error
    answer = json.loads(process.stdout or b'{"error": "it ended its process", "line": 1}')
    if "error" in answer:
        raise ConfigurationError(
            f"{shown}:{answer['line']}:1: {answer['error']}",
            "variables that it needs are given with --environment NAME=VALUE: it does not see those of this shell",
        )
    settings: dict[str, Any] = answer["settings"]
    return settings


def flag_of(name: str) -> str:
    """The flag of a setting of gunicorn.conf.py."""
    return FLAG_NAMES.get(name, f"--{name.replace('_', '-')}")


def import_setting(name: str, value: Any, directive: Directive, into: Into) -> None:
    """Imports one name that gunicorn.conf.py sets."""
    if isinstance(value, dict) and "object" in value and name not in HOOKS and name not in LOST_HOOKS:
        into.draft.find(directive, UNKNOWN, f"{value['object']}, and no setting of Gunicorn's")
    elif name in HOOKS:
        known = f'move the function into a module, and name it: {HOOKS[name]} = "module:function"; '
        into.draft.find(directive, UNSUPPORTED, f"{known}it is called with other arguments (the guide to hooks)")
    elif name in LOST_HOOKS:
        into.draft.find(directive, UNSUPPORTED, "there is no such moment: the guide to hooks shows which there are")
    elif name in LOST:
        into.draft.find(directive, UNSUPPORTED, LOST[name])
    elif (flag := flag_of(name)) not in KNOWN:
        hint = nearest(name, [*FLAG_NAMES, *(one.strip("-").replace("-", "_") for one in KNOWN)])
        into.draft.find(
            directive, UNKNOWN, f"Gunicorn has no setting of this name: a variable of the file's own? {hint}"
        )
    elif value is None or value in ("", []) or (value is False and flag not in OWN):
        into.draft.find(directive, UNNEEDED, "off, as it is without it")
    else:
        text = directive.text
        if name == "workers" and EVERY_CPU.search(text):
            value = "auto"
        elif any(word in text for word in ("environ", "getenv", "cpu_count")):
            advice = 'workers = "auto" follows the machine' if name == "workers" else "it is fixed now"
            into.draft.note(f"{directive.place} works {name} out each time; {value!r} is what it is here: {advice}.")
        import_flag(flag, value, directive, into)


OWN = {name: setting for setting in TABLE for name in (setting.flag, setting.short) if name}
OFF = {setting.flag.replace("--", "--no-", 1): setting for setting in LAYERED if isinstance(setting.kind, Flag)}
FOREIGN = {name: flag for flag in FLAGS for name in flag.names}
KNOWN = OWN.keys() | FOREIGN.keys()


def import_flag(flag: str, value: Any, directive: Directive, into: Into) -> None:
    """Imports one flag with its value, text from a command line or a value of gunicorn.conf.py."""
    if flag == "--protocol" and value == "uwsgi":
        into.site.speaks_uwsgi = True
        into.draft.find(directive, CARRIED, "bind: uwsgi: before each address")
        return
    if flag in OWN:
        settings, note = {OWN[flag].name: value}, ""
    else:
        try:
            settings, note = outcome(flag, value)
        except UsageError as refused:
            into.draft.find(directive, UNSUPPORTED, refused.hint)
            return
    if note:
        into.draft.find(directive, UNNEEDED, note)
    for name, given in settings.items():
        if name == "config":
            into.draft.find(directive, UNNEEDED, "its settings are here now")
            continue
        into.set(name, adapt(name, given), directive, CHANGED.get(name, ""))


def outcome(flag: str, value: Any) -> tuple[dict[str, Any], str]:
    """What one of Gunicorn's own flags comes to. Raises UsageError when it is refused."""
    if flag == "-e" and isinstance(value, list):
        return {"environment": dict(str(pair).partition("=")[::2] for pair in value)}, ""
    words = ",".join(map(str, value)) if isinstance(value, list) else "" if value is True else str(value)
    settings, note = FOREIGN[flag].outcome(words)
    return dict(settings), note


def adapt(name: str, value: Any) -> Any:
    """The value in the form that the settings table takes."""
    if name == "bind":
        addresses = value if isinstance(value, list) else str(value).split(",")
        # Gunicorn's default port.
        value = [one if ":" in one or one.isdigit() else f"{one}:8000" for one in map(str, addresses)]
    elif name == "umask":
        value = f"{value if isinstance(value, int) else int(str(value), 0):o}"
    elif name == "preload":
        value = "always" if value in (True, "") else "never"
    elif name == "proxy_protocol":
        value = value not in ("off", False)
    elif name in ("forwarded_allow", "uwsgi_allow"):
        # Gunicorn asks nobody who comes by a unix socket.
        value = [*value, "unix"] if "unix" not in value else value
    elif name == "log_level":
        value = {"critical": "error"}.get(str(value).lower(), str(value).lower())
    elif isinstance(BY_NAME[name].kind, Flag):
        value = True if value == "" else value
    elif name in ("user", "group") or isinstance(BY_NAME[name].kind, Path):
        value = str(value)
    return value


def import_words(words: Sequence[str], place: Place, draft: Draft, site: Site, base: str) -> None:
    """Imports the arguments of `gunicorn`, and the configuration file that they or the directory bring."""
    pairs = list(read_words(words))
    base = join(base, next((value for flag, value, _ in reversed(pairs) if flag == "--chdir"), "."))
    named = next((value for flag, value, _ in reversed(pairs) if flag in ("-c", "--config")), "gunicorn.conf.py")
    file = join(base, named.removeprefix("file:"))
    if os.path.isfile(file):
        import_file(file, draft, site)
    elif named != "gunicorn.conf.py":
        draft.find(Directive(place, f"--config {named}"), UNSUPPORTED, "the file is not there: import it where it is")
    arguments = draft.variables.get("GUNICORN_CMD_ARGS", "")
    variable = [
        (flag, value, f"GUNICORN_CMD_ARGS: {text}") for flag, value, text in read_words(shlex.split(arguments))
    ]
    for flag, value, text in [*variable, *pairs]:
        directive = Directive(place, text)
        if flag in ("-c", "--config"):
            if os.path.isfile(file):
                draft.find(directive, UNNEEDED, "its settings are here now")
        elif flag in KNOWN:
            try:
                import_flag(flag, value, directive, Into(draft, site, base))
            except ValueError as error:
                draft.find(directive, UNSUPPORTED, f"{value!r} cannot be read: {error}")
        else:
            draft.find(
                directive, UNKNOWN, "; ".join(filter(None, ("Gunicorn has no such flag", nearest(flag, KNOWN))))
            )
    settle(draft, site)


def read_words(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each (flag, value, text) of a command line; the application is the flag TARGET."""
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            yield "TARGET", word, word
            continue
        flag, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:
            flag, equals, value = word[:2], "=", word[2:].removeprefix("=")
        text = word
        if not equals and takes_value(flag) and left:
            value = left.pop(0)
            text = f"{word} {value}"
        yield flag, value, text


def takes_value(flag: str) -> bool:
    """Whether the next word is the flag's value."""
    if flag in OFF:
        return False
    if flag in OWN:
        return flag != "--preload" and not isinstance(OWN[flag].kind, Flag)
    return flag not in FOREIGN or not FOREIGN[flag].is_switch


def settle(draft: Draft, site: Site) -> None:
    """What follows from all that was said, and from what was not."""
    if site.speaks_uwsgi:
        addresses = site.settings.get("bind", ["127.0.0.1:8000"])
        site.settings["bind"] = [f"uwsgi:{one.removeprefix('uwsgi:')}" for one in addresses]
    defaults.explain(draft, site, "Gunicorn", "worker")
    draft.note(
        'Static and media files of a Django project are served too; django_static = "off" leaves them to others.'
    )
