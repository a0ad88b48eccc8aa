"""The `penstock` command: the only place that prints an error and picks an exit code."""

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from penstock import log
from penstock.config import load
from penstock.development.flags import FLAGS
from penstock.errors import ConfigurationError, PenstockError, UsageError, nearest
from penstock.kinds import Flag
from penstock.settings import BY_NAME, LAYERED, Setting

# The commands that talk to a supervisor: help, and description.
CONTROLS = {
    "status": ("show what a running supervisor does", "Shows the workers, and how they do."),
    "reload": (
        "load the code and the configuration anew",
        "Loads the code and the configuration anew. Prints the error and ends with 1 when the new code does not work; "
        "the old code serves on then.",
    ),
    "rollback": (
        "return to the code before the last reload",
        "Has the generation before the last reload serve again.",
    ),
    "stop": ("stop a supervisor", "Stops gracefully, and waits for the end. Stops at once when asked a second time."),
    "scale": ("change the number of workers", "Changes the number of workers, until the configuration changes it."),
    "restart": (
        "restart a process beside the web",
        "Ends a process of the setting `processes`, and starts it again; each one of them when NAME has several.",
    ),
    "reopen-logs": ("open the log files anew", "Opens the log files anew, after they were rotated."),
    "top": ("watch a running supervisor", "Shows workers and threads, and draws them anew each second."),
    "stacks": ("show where every thread is", "Shows where every Python thread of every worker is."),
    "upgrade": (
        "hand over to a new supervisor",
        "Starts Penstock anew, perhaps in another version, and hands the sockets over to it when it serves.",
    ),
}


# Where the supervisor of one of several sites finds what it has from its parent; see sites/child.py.
SITE = "PENSTOCK_SITE"

# What commands have beside the settings.
OWN_FLAGS = frozenset({"--help", "--config", "--json", "--deploy", "--live", "--layers", "--fail-level", "--site"})


# As a shell tells of a program that SIGPIPE has ended.
READER_LEFT = 141


# As a shell tells of a program that SIGPIPE has ended.
READER_LEFT = 141


class Parser(argparse.ArgumentParser):
    """argparse, with our way of saying what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError; an unknown option comes with the most similar one."""
        unknown = re.match("argument COMMAND: invalid choice: '(.*?)'", message)
        if unknown:
            raise UsageError(f"there is no command {unknown[1]!r}", self.hint_for(unknown[1]))
        word = message.rpartition(" ")[2].partition("=")[0]
        hint = nearest(word, [setting.flag for setting in LAYERED]) if message.startswith("unrecognized") else ""
        raise UsageError(message, hint or f"`{self.prog} --help` lists what there is")

    def hint_for(self, word: str) -> str:
        """What to do when a word stands where a command should: an application, an option's value, or a slip."""
        if re.fullmatch(r".*[.:/].*|[a-z_]+\(\)", word):
            return f"did you mean `penstock serve {word}`?"
        commands = next(action.choices for action in self._actions if action.metavar == "COMMAND")
        return nearest(word, commands or ()) or "`penstock --help` lists the commands; options follow the command"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns its exit status: 0, 1 application, 2 usage or configuration, 3 cannot bind."""
    words = complete(sys.argv[1:] if arguments is None else arguments)
    try:
        options = vars(build_parser(words).parse_args(words))
        run = options.pop("run")
        status: int = run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Who reads, such as `head`, has had enough. Python would complain at its end of what it could not write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_LEFT
    except PenstockError as error:
        red, plain = ("\x1b[1;31m", "\x1b[0m") if log.has_colour(2) else ("", "")
        print(f"{red}error:{plain} {error}", file=sys.stderr)
        return error.exit_code


def complete(words: Sequence[str]) -> list[str]:
    """The words as our parser wants them: in Gunicorn --preload has no value, and --proxy-protocol may have one."""
    completed: list[str] = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if completed[-1:] == ["--proxy-protocol"] and word in ("v1", "v2", "auto"):
            continue
        completed.append(word)
        if word == "--preload" and following not in ("auto", "always", "never"):
            completed.append("auto")
    return completed


def build_parser(words: Sequence[str]) -> Parser:
    """The parser of the whole command line; a good-looking one when somebody wants to read it."""
    formatter: type[argparse.HelpFormatter] = argparse.HelpFormatter
    if not {"-h", "--help"}.isdisjoint(words) or not words:
        from rich_argparse import RichHelpFormatter  # noqa: PLC0415 (60 ms that serving does not pay)

        # "[v6]:port" is an address and no markup.
        RichHelpFormatter.help_markup = RichHelpFormatter.text_markup = False
        formatter = RichHelpFormatter
    parser = Parser(
        prog="penstock",
        description="Puts a Django project, or any WSGI application, on the web.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", nargs=0, action=ShowVersion, help="show the version and leave")
    parser.set_defaults(run=lambda _: show_help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)

    serving = commands.add_parser(
        "serve",
        help="serve the application",
        description="Serves the application that TARGET names, or that is found here.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    serving.set_defaults(run=serve)
    explaining = commands.add_parser(
        "explain",
        help="show every setting and where it came from",
        description="Shows what `penstock serve` with the same arguments would do, and why. Runs no code of yours.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    explaining.set_defaults(run=explain)
    explaining.add_argument("--json", action="store_true", help="as JSON, for programs")
    checking = commands.add_parser(
        "check",
        help="say what would go wrong in production",
        description="Checks the project that `penstock serve` with the same arguments would serve: what is wrong, "
        "why it matters, and how to mend it. Ends with 1 when there are errors.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    checking.set_defaults(run=check)
    add_check_options(checking)
    # A hundred options: made only for the command that is called, or they would stay in the supervisor's memory.
    for name, command in {"serve": serving, "explain": explaining, "check": checking}.items():
        if name not in words[:1]:
            continue
        add_settings(command)
        if has_foreign_flags(words):
            from penstock.gunicorn_flags import add_to  # noqa: PLC0415 (only for who brings Gunicorn's habits)

            add_to(command)
    starting = commands.add_parser(
        "startproject",
        help="make a Django project that is ready to deploy",
        description="Makes a Django project NAME, in a new directory of that name or in DIR. Writes over nothing.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    starting.set_defaults(run=start_project)
    starting.add_argument("name", metavar="NAME", help="the name of the project's Python package")
    starting.add_argument("directory", nargs="?", metavar="DIR", help="where to make it (default: ./NAME)")
    starting.add_argument(
        "--single-settings", action="store_true", help="one settings.py, instead of one for each environment"
    )
    adopting = commands.add_parser(
        "init",
        help="add to a Django project what it lacks to be deployed",
        description="Adds to the Django project here the files that it lacks, and shows what it adds. Lines that are "
        "there already change only with --yes.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    adopting.set_defaults(run=adopt)
    adopting.add_argument("--yes", action="store_true", help="change lines that are there, too")
    adopting.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")
    importing = commands.add_parser(
        "import",
        help="make penstock.toml from the configuration of another server",
        description="Makes penstock.toml from what Gunicorn, uWSGI, or Apache with mod_wsgi are configured with, and "
        "reports what became of each line.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    importing.set_defaults(run=import_foreign)
    add_import_options(importing)
    add_runserver(commands, formatter)
    add_export(commands, formatter, is_asked="export" in words[:1])
    for name, (help, description) in CONTROLS.items():
        controlling = commands.add_parser(
            name, help=help, description=description, formatter_class=formatter, allow_abbrev=False
        )
        controlling.set_defaults(run=control, command=name)
        if name == "status":
            controlling.add_argument("--json", action="store_true", help="as JSON, for programs")
        if name == "top":
            controlling.add_argument("--once", action="store_true", help="print one page, and end")
        if name == "scale":
            controlling.add_argument("workers", type=int, metavar="N", help="so many workers from now on")
        if name == "restart":
            controlling.add_argument("name", metavar="NAME", help="the process's name")
        controlling.add_argument("site", nargs="?", metavar="SITE", help="this one of several sites")
        for flag, metavar, text in (
            ("--control", "PATH", "the supervisor's control socket (default: that of the project here)"),
            ("--chdir", "DIR", "the project's directory (default: the working directory)"),
            ("--config", "FILE", "the file that `penstock serve` was given"),
            ("--env", "NAME", "the environment that `penstock serve` was given"),
        ):
            controlling.add_argument(flag, metavar=metavar, default=argparse.SUPPRESS, help=text)
    return parser


def has_foreign_flags(words: Sequence[str]) -> bool:
    """Whether there is a word that looks like a flag and is none of the table's."""
    own = OWN_FLAGS.union(*({one.flag, one.flag.replace("--", "--no-", 1)} for one in LAYERED))
    short = {"-h"} | {setting.short for setting in LAYERED}
    flags = (word.partition("=")[0] for word in words if word.startswith("-") and word != "-")
    return any(flag not in own and flag[:2] not in short for flag in flags)


def add_check_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock check` alone is asked."""
    levels = ("debug", "info", "warning", "error", "critical")
    parser.add_argument("--deploy", action="store_true", help="also look for what only matters in production")
    parser.add_argument("--live", action="store_true", help="also start the site on a private socket, and ask it")
    parser.add_argument("--layers", action="store_true", help="also run each middleware under a validator of WSGI")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument(
        "--fail-level",
        type=str.lower,
        choices=levels,
        default="error",
        metavar="LEVEL",
        help=f"end with 1 from this level on: {', '.join(levels)} (default: error)",
    )


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock import` is asked."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="gunicorn.conf.py, uwsgi.ini, an Apache site, ...")
    parser.add_argument(
        "--kind",
        metavar="KIND",
        help="apache, dockerfile, gunicorn, procfile, systemd or uwsgi (default: what they look like)",
    )
    parser.add_argument("--output", metavar="FILE", default="penstock.toml", help="default: penstock.toml")
    parser.add_argument("--report", metavar="FILE", default="-", help="the report; - is standard output (default)")
    parser.add_argument(
        "--environment",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a variable that the files ask for; those of this shell are not seen by them",
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON, for programs")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def add_runserver(commands: Any, formatter: type[argparse.HelpFormatter]) -> None:
    """The development server: Django's options, and how to find the project."""
    developing = commands.add_parser(
        "runserver",
        help="serve a Django project for development",
        description="Serves the Django project here for development: `manage.py runserver` with Penstock's engine.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    developing.set_defaults(run=runserver)
    developing.add_argument("address", nargs="?", default="", metavar="ADDR", help="PORT, HOST:PORT or [V6]:PORT")
    for names, text in FLAGS.items():
        developing.add_argument(*names, action="store_true", help=text)
    for name in ("settings", "env", "chdir"):
        setting = BY_NAME[name]
        developing.add_argument(
            setting.flag, metavar=setting.kind.metavar, default=argparse.SUPPRESS, help=help_of(setting)
        )


def add_export(commands: Any, formatter: type[argparse.HelpFormatter], is_asked: bool) -> None:
    """The export: its kinds, what it does with the files, and every setting; all that only when it is asked for."""
    exporting = commands.add_parser(
        "export",
        help="write the files of nginx, systemd, Docker, Kubernetes, Gunicorn and others",
        description="Says in another program's files what `penstock serve` with the same arguments would serve, and "
        "on standard error what they cannot say. Prints them, unless --write names a directory.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    exporting.set_defaults(run=export)
    if not is_asked:
        return
    from penstock.interop.export.flags import FILES, KINDS, WISHES  # noqa: PLC0415 (serving does not pay for it)

    kinds = "; ".join(f"{name}: {kind.makes}" for name, kind in KINDS.items())
    exporting.add_argument("kind", metavar="KIND", choices=KINDS, help=kinds)
    for flag, (metavar, choices, text) in (FILES | WISHES).items():
        how: dict[str, Any] = {"metavar": metavar, "choices": choices} if metavar else {"action": "store_true"}
        exporting.add_argument(flag, default=argparse.SUPPRESS, help=text, **how)
    add_settings(exporting)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One option for each setting of the table, under the table's headings."""
    groups: dict[str, Any] = {}
    for setting in LAYERED:
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        group = groups[setting.group]
        if setting.name == "app":
            group.add_argument("app", nargs="?", metavar="TARGET", default=argparse.SUPPRESS, help=help_of(setting))
            group.add_argument(
                "--config",
                metavar="FILE",
                default=argparse.SUPPRESS,
                help="the file to read settings from (default: penstock.toml here or beside manage.py)",
            )
            group.add_argument(
                "--site", metavar="NAME", default=argparse.SUPPRESS, help="only this one of several sites"
            )
            continue
        names = [setting.short, setting.flag] if setting.short else [setting.flag]
        how: dict[str, Any] = {"metavar": setting.kind.metavar}
        if isinstance(setting.kind, Flag):
            how = {"action": argparse.BooleanOptionalAction}
        elif setting.kind.repeatable:
            how["action"] = "append"
        group.add_argument(*names, dest=setting.name, default=argparse.SUPPRESS, help=help_of(setting), **how)


def help_of(setting: Setting) -> str:
    """The help of an option, with its default."""
    default = setting.kind.show(setting.kind.read(setting.default, "/"))
    shown = f" (default: {default})" if default and setting.default is not False else ""
    return f"{setting.help}{shown}".replace("%", "%%")


class ShowVersion(argparse.Action):
    """--version, without asking for the version before somebody does."""

    def __call__(self, *_: Any) -> NoReturn:
        """Prints it and leaves."""
        from penstock import __version__  # noqa: PLC0415

        print(f"penstock {__version__}")
        sys.exit(0)


def show_help(parser: argparse.ArgumentParser) -> int:
    """What `penstock` alone does."""
    parser.print_help()
    return 2


def serve(options: Mapping[str, Any]) -> int:
    """Runs the supervisor, or the parent of several; in a process forked from it, the role of that process."""
    from penstock.processes import play  # noqa: PLC0415 (each command imports what it needs)

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
    import contextlib  # noqa: PLC0415
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


def control(options: Mapping[str, Any]) -> int:
    """Has a running supervisor do something, and prints what it says."""
    from penstock.admin.client import run  # noqa: PLC0415

    named = {name: options[name] for name in ("control", "chdir", "config", "env") if name in options}
    config = load(named, os.environ, working_directory())
    if options["command"] == "top":
        from penstock.admin.top import watch  # noqa: PLC0415

        return watch(config, options["once"], options["site"] or "")
    print(run(options, config), end="")
    return 0


def start_project(options: Mapping[str, Any]) -> int:
    """Makes a project, and prints what to do next."""
    from penstock.django import starter  # noqa: PLC0415

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
    from penstock.interop.export.command import Asked, Colours, run  # noqa: PLC0415
    from penstock.interop.export.deployment import Wishes  # noqa: PLC0415

    asked = Asked(**{name: options.pop(name) for name in Asked._fields if name in options})
    wishes = Wishes(**{name: options.pop(name) for name in Wishes._fields if name in options})
    config = load(options, os.environ, working_directory())
    return run(config, os.environ, asked, wishes, Colours(log.has_colour(1), log.has_colour(2)))


def working_directory() -> str:
    """The working directory by the name under which it was entered: a link to a release may lead elsewhere later."""
    name = os.environ.get("PWD", "")
    try:
        return name if os.path.isabs(name) and os.path.samefile(name, ".") else os.getcwd()
    except OSError:
        return os.getcwd()
