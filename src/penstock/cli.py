"""The `penstock` command: the only place that prints an error and picks an exit code."""

import contextlib
import errno
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock import log
from penstock.config import Config, load
from penstock.errors import ConfigurationError, PenstockError, UsageError

# Where the supervisor of one of several sites finds what it has from its parent; see sites/child.py.
SITE = "PENSTOCK_SITE"

# As a shell tells of a program that SIGPIPE or SIGINT has ended.
READER_LEFT = 141
INTERRUPTED = 130

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # what a disk answers that takes no more


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns its exit status: 0, 1 application, 2 usage or configuration, 3 cannot bind."""
    open_streams()
    try:
        # A site's supervisor has its options from its parent: a parser would be a megabyte of each site.
        status = serve({}) if SITE in os.environ else run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        drop_output()  # who reads, such as `head`, has had enough
        return READER_LEFT
    except KeyboardInterrupt:
        return INTERRUPTED
    except PenstockError as error:
        return tell(error)
    except OSError as error:
        if error.errno not in FULL or error.filename:
            raise
        drop_output()
        return tell(PenstockError(f"standard output cannot be written: {error.strerror}"))


def open_streams() -> None:
    """Opens what `>&-` has closed: or the next socket would be what the application prints to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115 (until the end)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def tell(error: PenstockError) -> int:
    """Prints an error; returns its exit code."""
    red, plain = ("\x1b[1;31m", "\x1b[0m") if log.has_colour(2) else ("", "")
    print(f"{red}error:{plain} {error}", file=sys.stderr)
    return error.exit_code


def drop_output() -> None:
    """Has nobody wait for what could not be written, or Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str]) -> int:
    """Runs the command that these words say."""
    from penstock.command_line import build_parser, complete  # noqa: PLC0415

    words = complete(arguments)
    parser = build_parser(words)
    options = vars(parser.parse_args(words))
    command = options.pop("command")
    if not command:
        parser.print_help()
        return 2
    return RUN[command](options) if command in RUN else control(command, options)


def serve(options: Mapping[str, Any]) -> int:
    """Runs the supervisor, or the parent of several; in a process forked from it, the role of that process."""
    from penstock.processes import play  # noqa: PLC0415 (each command imports what it needs)

    # What a start makes stays: to look through it again and again is a tenth of the time. See Keeper.finish_start().
    gc.disable()
    start = working_directory()
    # `python -m penstock` puts it first: the application's own directory is found anew at each reload instead.
    if sys.path[0] == os.getcwd():
        del sys.path[0]
    parent = None
    if SITE in os.environ:
        from penstock.sites.child import Legacy, Parent  # noqa: PLC0415 (only with several sites)

        legacy = Legacy.load(os.environ.pop(SITE))
        parent, options, start = Parent(legacy), legacy.arguments, legacy.start
        log.journal.site = legacy.site
    config = load(options, os.environ, start)
    try:
        log.journal.open(config.error_log, config.log_level, config.log_format)
    except OSError as error:
        raise ConfigurationError(f"error_log {config.error_log} cannot be opened: {error.strerror}") from error
    if config.log_config:
        from penstock.log_config import hand_over  # noqa: PLC0415 (off by default, and 15 ms)

        log.journal.handover = hand_over(config.log_config, config.log_level, config.directory)
    if not parent:
        for note in options.get("notes", ()):
            log.info(note)
    if config.has_sites and not config.site:
        from penstock.sites.process import Sites  # noqa: PLC0415 (only with several sites)

        return play(Sites(config, options, start).run)
    if not parent and (config.python or config.venv):
        from penstock.interpreter import execute_own  # noqa: PLC0415 (off by default)

        execute_own(config)
    from penstock.supervisor.process import Supervisor  # noqa: PLC0415

    return play(Supervisor(config, options, start, parent).run)


def runserver(options: Mapping[str, Any]) -> int:
    """Runs the development server; in a process forked from it, the role of that process."""
    from penstock.development.command import runserver as run  # noqa: PLC0415
    from penstock.processes import play  # noqa: PLC0415

    log.journal.open("-", "info")
    return play(lambda: run(options, working_directory()))


def explain(options: Mapping[str, Any]) -> int:
    """Prints the configuration with its origins."""
    from penstock.explain import explain as show  # noqa: PLC0415

    config = load(options, os.environ, working_directory())
    print(show(config, os.environ, as_json=options["json"], has_colour=log.has_colour(1)))
    return 0


def check(options: dict[str, Any]) -> int:
    """Prints what is wrong with the project."""
    import shutil  # noqa: PLC0415

    from penstock.check.private_site import Serving  # noqa: PLC0415
    from penstock.check.report import as_json, as_text  # noqa: PLC0415
    from penstock.check.run import Asked, run  # noqa: PLC0415

    asked = Asked(**{name: options.pop(name) for name in Asked._fields})
    wants_json = options.pop("json")
    start = working_directory()
    config = load(options, os.environ, start)
    if config.has_sites and not config.site:
        raise UsageError(
            "there are several sites, and check looks at one", f"--site {'|'.join(config.sites) or 'NAME'}"
        )
    with contextlib.redirect_stdout(sys.stderr):  # what the application prints is none of our data
        report = run(config, Serving(options, dict(os.environ), start), asked)
    if wants_json:
        print(as_json(report))
    else:
        print(as_text(report, log.has_colour(1), shutil.get_terminal_size().columns))
    return int(report.has_failed)


def control(command: str, options: Mapping[str, Any]) -> int:
    """Has a running supervisor do something, and prints what it says."""
    from penstock.admin.client import run  # noqa: PLC0415

    named = {name: options[name] for name in ("control", "chdir", "config", "env") if name in options}
    try:
        config = load(named, os.environ, working_directory())
    except ConfigurationError as error:
        config = find_without_file(named, error)
    if command == "top":
        from penstock.admin.top import watch  # noqa: PLC0415

        return watch(config, options["once"], options["site"] or "")
    print(run({**options, "command": command}, config), end="")
    return 0


def find_without_file(named: Mapping[str, Any], error: ConfigurationError) -> Config:
    """What leads to a supervisor that runs, though its penstock.toml is broken by now. Raises the error else."""
    from penstock.admin.client import find_socket  # noqa: PLC0415

    config = load(named, os.environ, working_directory(), reads_file=False)
    try:
        find_socket(config)
    except PenstockError:
        raise error from None
    log.warning(f"{error.message}; the supervisor goes on with what it has read")
    return config


def start_project(options: Mapping[str, Any]) -> int:
    """Makes a project, and prints what to do next."""
    from penstock.django import starter  # noqa: PLC0415

    working_directory()  # refused here when it is not there any more
    started = starter.start_project(options["name"], options["directory"], options["single_settings"])
    print(starter.next_steps(started, log.has_colour(1)), end="")
    return 0


def adopt(options: Mapping[str, Any]) -> int:
    """Adds to a project what it lacks, and prints what that was."""
    from penstock.django import adoption  # noqa: PLC0415

    project = adoption.find_project(working_directory())
    changes = adoption.plan(project, with_changes=options["yes"])
    if not options["dry_run"]:
        adoption.apply([change for change in changes if options["yes"] or not change.asks])
    print(adoption.report(project, changes, options["yes"], options["dry_run"], log.has_colour(1)), end="")
    return 0


def import_foreign(options: Mapping[str, Any]) -> int:
    """Makes penstock.toml from another server's configuration."""
    from penstock.interop.importing.command import run  # noqa: PLC0415

    return run(options)


def export(options: dict[str, Any]) -> int:
    """Says the site in another program's files."""
    from penstock.interop.export.command import Asked, run  # noqa: PLC0415
    from penstock.interop.export.deployment import Wishes  # noqa: PLC0415

    asked = Asked(**{name: options.pop(name) for name in Asked._fields if name in options})
    wishes = Wishes(**{name: options.pop(name) for name in Wishes._fields if name in options})
    start = working_directory()
    config = load(options, os.environ, start)
    if config.has_sites and not config.site:
        if "app" not in options:
            sites = {name: load({**options, "site": name}, os.environ, start) for name in config.sites}
            if not sites:
                raise UsageError("there is no site yet", f"write one: {config.site_pattern or '[sites.NAME]'}")
            return run(config, sites, os.environ, asked, wishes)
        # Where there are several sites, TARGET is the name of one.
        config = load({**options, "site": options["app"]}, os.environ, start)
    if config.python or config.venv:
        from penstock.interpreter import execute_own  # noqa: PLC0415 (off by default)

        execute_own(config)
    return run(config, {}, os.environ, asked, wishes)


def working_directory() -> str:
    """The working directory by the name under which it was entered: a link to a release may lead elsewhere later.

    PenstockError when somebody has removed it.
    """
    name = os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        if os.path.isabs(name) and os.path.samefile(name, "."):
            return name
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise PenstockError(
            "the working directory is not there any more", "enter another; there may be a new one of the same name"
        ) from error


# All other commands are for control().
RUN: Mapping[str, Callable[[dict[str, Any]], int]] = {
    "serve": serve,
    "runserver": runserver,
    "startproject": start_project,
    "init": adopt,
    "check": check,
    "explain": explain,
    "import": import_foreign,
    "export": export,
}
