"""The flags of `gunicorn --help` that are none of Penstock's: what each becomes, or what to do instead. One table.

Flags that both have under one name, such as --bind and --workers, are not here: settings.py has them.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.errors import UsageError


class Outcome(NamedTuple):
    """What a flag comes to: settings, or a line that says why it changes nothing."""

    settings: Mapping[str, Any]
    note: str = ""


class Flag(NamedTuple):
    """One flag. `outcome` is called with its value, "" for a switch, and raises UsageError when it is refused."""

    names: tuple[str, ...]
    outcome: Callable[[str], Outcome]
    is_switch: bool = False


def becomes(names: str, setting: str) -> Flag:
    """A flag whose value is that of a setting."""
    return Flag(tuple(names.split()), lambda value: Outcome({setting: value}))


def adds_to(names: str, setting: str) -> Flag:
    """A flag with a list parted by commas, for a setting that is one."""
    return Flag(tuple(names.split()), lambda value: Outcome({setting: value.split(",")}))


def changes_nothing(names: str, note: str, is_switch: bool = True) -> Flag:
    """A flag that nothing is lost without."""
    return Flag(tuple(names.split()), lambda _: Outcome({}, note), is_switch)


def refused(names: str, hint: str, is_switch: bool = False) -> Flag:
    """A flag that asks for what there is not, or is called otherwise."""

    def refuse(_: str) -> Outcome:
        raise UsageError(f"{names.rsplit(maxsplit=1)[-1]} is a flag of Gunicorn that Penstock does not have", hint)

    return Flag(tuple(names.split()), refuse, is_switch)


def only(name: str, accepted: Sequence[str], note: str, hint: str) -> Flag:
    """A flag that says what is so anyway, or else asks for what there is not."""

    def check(value: str) -> Outcome:
        if value in accepted:
            return Outcome({}, note)
        raise UsageError(f"{name} cannot be {value!r}", f"only {', '.join(accepted)}: {hint}")

    return Flag((name,), check)


def worker_class(value: str) -> Outcome:
    """-k: Penstock has one kind of worker, which does what sync and gthread do."""
    if value in ("sync", "gthread"):
        return Outcome({}, "workers have threads, as many as --threads says")
    if value in ("asgi", "tornado") or "uvicorn" in value:
        raise UsageError(
            f"there are no {value} workers: Penstock serves WSGI applications",
            "name the project's wsgi module instead of asgi; WebSockets need an ASGI server beside this one",
        )
    raise UsageError(
        f"there are no {value} workers",
        "only sync and gthread: a client that is slow costs no thread, and --threads is for views that wait",
    )


PROXY = "let a proxy in front speak TLS and HTTP/2 with the clients, and name it in --forwarded-allow"
STRICT = "requests are read as RFC 9112 has it, and no setting makes that less strict"
ASGI = "Penstock serves WSGI applications; an ASGI application needs another server"
DIRTY = "work that takes minutes belongs in a task queue, such as Celery or django-tasks"
UWSGI = "write `--bind uwsgi:ADDR`: each address says what is spoken there"
TO_SYSLOG = "systemd's journal takes standard error; --log-config may name a SysLogHandler"

FLAGS = (
    becomes("-c", "config"),
    Flag(("-e",), lambda value: Outcome({"environment": [value]} if "=" in value else {"env": value})),
    becomes("-t", "timeout"),
    becomes("-p --pid", "pid_file"),
    becomes("--keep-alive", "keep_alive_timeout"),
    becomes("--worker-connections", "max_connections"),
    becomes("--limit-request-line", "max_request_line"),
    becomes("--limit-request-fields", "max_fields"),
    adds_to("--forwarded-allow-ips", "forwarded_allow"),
    adds_to("--uwsgi-allow-from", "uwsgi_allow"),
    becomes("--access-logfile", "access_log"),
    becomes("--access-logformat", "access_log_format"),
    becomes("--error-logfile --log-file", "error_log"),
    becomes("--log-config-json", "log_config"),
    becomes("--statsd-host", "statsd"),
    adds_to("--pythonpath", "python_path"),
    becomes("--control-socket", "control"),
    Flag(("--no-control-socket",), lambda _: Outcome({"control": "off"}), is_switch=True),
    Flag(("-k", "--worker-class"), worker_class),
    changes_nothing("--worker-tmp-dir", "workers need no heartbeat files", is_switch=False),
    changes_nothing("--reuse-port", "workers share the sockets, and the kernel wakes one of them"),
    changes_nothing("--no-sendfile", "files are sent by the kernel, and in other ways where it cannot"),
    changes_nothing("--initgroups", "--user brings the user's groups"),
    changes_nothing("--reload-engine", "changes are found with watchfiles", is_switch=False),
    changes_nothing("-R --enable-stdio-inheritance", "standard output and error are always inherited"),
    changes_nothing("--disable-redirect-access-to-syslog", "nothing goes to syslog"),
    changes_nothing("--enable-backlog-metric", "the metrics tell how long requests wait"),
    changes_nothing("-n --name", "processes keep their own name", is_switch=False),
    changes_nothing("--http-parser", "there is one parser", is_switch=False),
    changes_nothing("--suppress-ragged-eofs", "there is no TLS"),
    changes_nothing("--do-handshake-on-connect", "there is no TLS"),
    only("--header-map", ("drop",), "names with an underscore are always dropped", STRICT),
    only("--protocol", ("http",), "each address of --bind says what is spoken there", UWSGI),
    only("--http-protocols", ("h1",), "HTTP/1.1 is what is spoken", PROXY),
    refused("-D --daemon", "let systemd start it, with Type=notify; for a try, end the line with &", True),
    refused("-v --version", "`penstock --version` shows the version", True),
    refused("--check-config", "`penstock explain` reads the configuration and says what would be served", True),
    refused("--print-config", "`penstock explain` shows every setting, and who chose it", True),
    refused("--spew", "`penstock stacks` shows where every thread is", True),
    refused("--capture-output", "what the application prints goes to standard output and error: direct them", True),
    refused("--reload-extra-file", "--reload watches .py, .wsgi, .toml, .html, .txt and .env files of the project"),
    refused("--limit-request-field_size", "--max-head limits the whole head, 32 KiB unless you say otherwise"),
    refused("--logger-class", "--log-config names a dictConfig for Python's logging"),
    refused("--log-syslog", TO_SYSLOG, True),
    *(refused(name, TO_SYSLOG) for name in ("--log-syslog-to", "--log-syslog-prefix", "--log-syslog-facility")),
    refused("--dogstatsd-tags", "--statsd-prefix may tell servers apart; Prometheus reads labels from --admin-bind"),
    refused("--paste --paster", "name a module that calls paste.deploy.loadapp, as in `penstock serve shop:app`"),
    refused("--paste-global", "name a module that calls paste.deploy.loadapp, as in `penstock serve shop:app`"),
    refused("--proxy-allow-from", "--forwarded-allow names the proxies, those that speak PROXY too"),
    refused("--control-socket-mode", "only its owner and root may use the control socket"),
    refused("--forwarder-headers", STRICT),
    *(
        refused(name, STRICT, True)
        for name in (
            "--permit-obsolete-folding",
            "--strip-header-spaces",
            "--permit-unconventional-http-method",
            "--permit-unconventional-http-version",
            "--casefold-http-method",
        )
    ),
    *(
        refused(name, PROXY)
        for name in (
            "--keyfile",
            "--certfile",
            "--ssl-version",
            "--cert-reqs",
            "--ca-certs",
            "--ciphers",
            "--http2-cleartext",
            "--http2-max-concurrent-streams",
            "--http2-initial-window-size",
            "--http2-max-frame-size",
            "--http2-max-header-list-size",
        )
    ),
    *(
        refused(name, ASGI)
        for name in (
            "--asgi-loop",
            "--asgi-lifespan",
            "--asgi-disconnect-grace-period",
            "--websocket-max-message-size",
            "--root-path",
        )
    ),
    *(
        refused(name, DIRTY)
        for name in (
            "--dirty-app",
            "--dirty-workers",
            "--dirty-timeout",
            "--dirty-threads",
            "--dirty-graceful-timeout",
        )
    ),
)


class Translate(argparse.Action):
    """Sets what a flag of Gunicorn's comes to, and keeps its note."""

    def __init__(self, flag: Flag, **options: Any) -> None:
        super().__init__(nargs=0 if flag.is_switch else None, help=argparse.SUPPRESS, **options)
        self.flag = flag

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, name: str | None = None) -> None:  # noqa: ARG002
        """Raises UsageError for a flag that is refused."""
        outcome = self.flag.outcome(values or "")
        for setting, value in outcome.settings.items():
            before = getattr(namespace, setting, []) if isinstance(value, list) else None
            setattr(namespace, setting, value if before is None else [*before, *value])
        if outcome.note:
            notes = getattr(namespace, "notes", [])
            namespace.notes = [*notes, f"{name}, a flag of Gunicorn, changes nothing: {outcome.note}"]


def page_lines() -> Iterator[str]:
    """The lines of the reference page, for reference.py: flag by flag in the order of the table."""
    yield "What `penstock serve` does with the flags of Gunicorn 27 that are none of its own. How to go on from a"
    yield "command line of Gunicorn's is in [](../guides/gunicorn-flags.md)."
    yield ""
    yield "| flag | what comes of it |"
    yield "|---|---|"
    for flag in FLAGS:
        yield f"| {', '.join(f'`{name}`' for name in flag.names)} | {meaning(flag)} |"


def meaning(flag: Flag) -> str:
    """What comes of a flag, in a few words."""
    try:
        settings, note = flag.outcome("")
    except UsageError as error:
        return error.hint if error.hint.startswith("only ") else f"refused: {error.hint}"
    if note:
        return f"changes nothing: {note}"
    [(setting, value)] = settings.items()
    if isinstance(value, list):
        return f"adds to `{setting}`"
    return f"sets `{setting}` to `{value}`" if value else f"sets `{setting}`"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Makes a parser take them all, without a word in its help."""
    for flag in FLAGS:
        parser.add_argument(*flag.names, dest="notes", default=argparse.SUPPRESS, action=Translate, flag=flag)
