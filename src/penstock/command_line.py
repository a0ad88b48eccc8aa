"""The words that `penstock` understands: THE table of commands, and a parser made from it. Runs nothing.

Only the command that is called gets a parser, and only the settings among the words get options, unless somebody wants
to read them all: making a hundred of them takes a twentieth of a start, and a megabyte of the supervisor's memory.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

from penstock.development.flags import FLAGS
from penstock.errors import UsageError, nearest
from penstock.kinds import Flag
from penstock.settings import BY_NAME, LAYERED, Setting

# What commands have beside the settings.
OWN_FLAGS = frozenset({"--help", "--config", "--json", "--deploy", "--live", "--layers", "--fail-level", "--site"})

WORDS_FIRST = "words that belong to no option stand before the options, right behind the command"


class Parser(argparse.ArgumentParser):
    """argparse, with our way of saying what is wrong. `called` is the parser of the command that the words name."""

    called: "Parser | None" = None
    flags: Sequence[str] = ()  # that may have been meant

    def error(self, message: str) -> NoReturn:
        """Raises UsageError; an unknown option comes with the most similar one."""
        unknown = re.match("argument COMMAND: invalid choice: '(.*?)'", message)
        if unknown:
            raise UsageError(f"there is no command {unknown[1]!r}", self.hint_for(unknown[1]))
        stray = re.match(r"unrecognized arguments: ([^\s=]+)", message)
        hint = self.hint_for_stray(stray[1]) if stray else ""
        raise UsageError(message, hint or f"`{(self.called or self).prog} --help` lists what there is")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Leaves after --help and --version. What cannot be printed is an error here, and not at Python's end."""
        sys.stdout.flush()
        super().exit(status, message)

    def hint_for_stray(self, word: str) -> str:
        """What a word may be meant to be that the command does not take; "" for a flag that is like no other."""
        return nearest(word, (self.called or self).flags) if word.startswith("-") else WORDS_FIRST

    def hint_for(self, word: str) -> str:
        """What to do when a word stands where a command should: an application, an option's value, or a slip."""
        if re.fullmatch(r".*[.:/].*|[a-z_]+\(\)", word):
            return f"did you mean `penstock serve {word}`?"
        commands = next(action.choices for action in self._actions if action.metavar == "COMMAND")
        return nearest(word, commands or ()) or "`penstock --help` lists the commands; options follow the command"


class Command(NamedTuple):
    """One command. `add_options` gives its parser what may follow the name.

    `settings`: each setting is an option of it. `serves`: it takes what `serve` takes, also Gunicorn's flags. `usage`
    is for those with too many options to list them all twice.
    """

    name: str
    help: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    settings: bool = False
    serves: bool = False
    usage: str | None = None


def build_parser(words: Sequence[str]) -> Parser:
    """The parser for these words; a good-looking one when somebody wants to read it.

    The options that it gives have the command's name as `command`; None without a command.
    """
    formatter: Callable[..., argparse.HelpFormatter] = plain_formatter
    is_read = not {"-h", "--help"}.isdisjoint(words) or not words
    if is_read:
        from rich_argparse import RichHelpFormatter  # noqa: PLC0415 (60 ms that serving does not pay)

        # "[v6]:port" is an address and no markup.
        RichHelpFormatter.help_markup = RichHelpFormatter.text_markup = False
        RichHelpFormatter.group_name_formatter = lambda name: name[:1].upper() + name[1:]
        formatter = RichHelpFormatter
    parser = Parser(
        prog="penstock",
        description="Puts a Django project, or any WSGI application, on the web.",
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", nargs=0, action=ShowVersion, help="show the version and leave")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", parser_class=Parser)
    called = [command for command in COMMANDS if command.name in words[:1]]
    for command in called or COMMANDS:
        adding = commands.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            usage=command.usage,
            formatter_class=formatter,
            allow_abbrev=False,
        )
        if not called:
            continue
        command.add_options(adding)
        parser.called, adding.flags = adding, list(adding._option_string_actions)
        if command.settings:
            add_settings(adding, LAYERED if is_read else asked_for(words))
            adding.flags = [*adding.flags, *(setting.flag for setting in LAYERED)]
        if command.serves and has_foreign_flags(words):
            from penstock.gunicorn_flags import add_to  # noqa: PLC0415 (only for who brings Gunicorn's habits)

            add_to(adding)
    return parser


def plain_formatter(prog: str) -> argparse.HelpFormatter:
    """Argparse makes one for each option, and without a width each would ask how wide the terminal is."""
    return argparse.HelpFormatter(prog, width=80)


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


def flags_of(setting: Setting) -> set[str]:
    """All that may stand for a setting on the command line, in full."""
    return {setting.flag, setting.flag.replace("--", "--no-", 1), setting.short} - {""}


def flags_in(words: Sequence[str]) -> set[str]:
    """What looks like a flag among these words."""
    return {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}


def asked_for(words: Sequence[str]) -> list[Setting]:
    """The settings that these words may set: those whose flags are among them, and the one that needs no flag."""
    flags = flags_in(words)
    flags |= {flag[:2] for flag in flags}  # a short one may have its value right behind it
    return [setting for setting in LAYERED if setting.name == "app" or not flags.isdisjoint(flags_of(setting))]


def has_foreign_flags(words: Sequence[str]) -> bool:
    """Whether there is a word that looks like a flag and is none of the table's."""
    own = OWN_FLAGS.union({"-h"}, *map(flags_of, LAYERED))
    return any(flag not in own and flag[:2] not in own for flag in flags_in(words))


def add_nothing(_: argparse.ArgumentParser) -> None:
    """The settings are enough."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """What `penstock explain` alone is asked."""
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


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


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock startproject` is asked."""
    parser.add_argument("name", metavar="NAME", help="the name of the project's Python package")
    parser.add_argument("directory", nargs="?", metavar="DIR", help="where to make it (default: ./NAME)")
    parser.add_argument(
        "--single-settings", action="store_true", help="one settings.py, instead of one for each environment"
    )


def add_adopt_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock init` is asked."""
    parser.add_argument("--yes", action="store_true", help="change lines that are there, too")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and write nothing")


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
    parser.add_argument(
        "--accept-open", action="store_true", help="write also when paths that were guarded will not be any more"
    )


def add_runserver_options(parser: argparse.ArgumentParser) -> None:
    """Django's options of the development server, and how to find the project."""
    parser.add_argument("address", nargs="?", default="", metavar="ADDR", help="PORT, HOST:PORT or [V6]:PORT")
    for names, text in FLAGS.items():
        parser.add_argument(*names, action="store_true", help=text)
    for name in ("settings", "env", "chdir"):
        setting = BY_NAME[name]
        parser.add_argument(
            setting.flag, metavar=setting.kind.metavar, default=argparse.SUPPRESS, help=help_of(setting)
        )


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """The kinds of the export, and what it does with the files."""
    from penstock.interop.export.flags import FILES, KINDS, WISHES  # noqa: PLC0415 (serving does not pay for it)

    kinds = "; ".join(f"{name}: {kind.makes}" for name, kind in KINDS.items())
    parser.add_argument("kind", metavar="KIND", choices=KINDS, help=kinds)
    for flag, (metavar, choices, text) in (FILES | WISHES).items():
        how: dict[str, Any] = {"metavar": metavar, "choices": choices} if metavar else {"action": "store_true"}
        parser.add_argument(flag, default=argparse.SUPPRESS, help=text, **how)


def add_status_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock status` is asked."""
    add_json(parser)
    add_site(parser)


def add_top_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock top` is asked."""
    parser.add_argument("--once", action="store_true", help="print one page, and end")
    add_site(parser)


def add_scale_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock scale` is asked."""
    parser.add_argument("workers", type=int, metavar="N", help="so many workers from now on")
    add_site(parser)


def add_restart_options(parser: argparse.ArgumentParser) -> None:
    """What `penstock restart` is asked."""
    parser.add_argument("name", metavar="NAME", help="the process's name")
    add_site(parser)


def add_site(parser: argparse.ArgumentParser) -> None:
    """Which running supervisor is meant."""
    parser.add_argument("site", nargs="?", metavar="SITE", help="this one of several sites")
    for flag, metavar, text in (
        ("--control", "PATH", "the supervisor's control socket (default: that of the project here)"),
        ("--chdir", "DIR", "the project's directory (default: the working directory)"),
        ("--config", "FILE", "the file that `penstock serve` was given"),
        ("--env", "NAME", "the environment that `penstock serve` was given"),
    ):
        parser.add_argument(flag, metavar=metavar, default=argparse.SUPPRESS, help=text)


def add_settings(parser: argparse.ArgumentParser, settings: Iterable[Setting]) -> None:
    """One option for each of these settings, under the table's headings."""
    groups: dict[str, Any] = {}
    for setting in settings:
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

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        """Prints it and leaves."""
        from penstock import __version__  # noqa: PLC0415

        print(f"penstock {__version__}")
        parser.exit()


COMMANDS = (
    Command(
        "serve",
        "serve the application",
        "Serves the application that TARGET names, or that is found here.",
        add_nothing,
        settings=True,
        serves=True,
        usage="%(prog)s [OPTION ...] [TARGET]",
    ),
    Command(
        "runserver",
        "serve a Django project for development",
        "Serves the Django project here for development: `manage.py runserver` with Penstock's engine.",
        add_runserver_options,
    ),
    Command(
        "startproject",
        "make a Django project that is ready to deploy",
        "Makes a Django project NAME, in a new directory of that name or in DIR. Writes over nothing.",
        add_start_options,
    ),
    Command(
        "init",
        "add to a Django project what it lacks to be deployed",
        "Adds to the Django project here the files that it lacks, and shows what it adds. Lines that are there "
        "already change only with --yes.",
        add_adopt_options,
    ),
    Command(
        "check",
        "say what would go wrong in production",
        "Checks the project that `penstock serve` with the same arguments would serve: what is wrong, why it matters, "
        "and how to mend it. Ends with 1 when there are errors.",
        add_check_options,
        settings=True,
        serves=True,
        usage="%(prog)s [OPTION ...] [TARGET]",
    ),
    Command(
        "explain",
        "show every setting and where it came from",
        "Shows what `penstock serve` with the same arguments would do, and why. Runs no code of yours.",
        add_json,
        settings=True,
        serves=True,
        usage="%(prog)s [OPTION ...] [TARGET]",
    ),
    Command(
        "status", "show what a running supervisor does", "Shows the workers, and how they do.", add_status_options
    ),
    Command(
        "top",
        "watch a running supervisor",
        "Shows workers and threads, and draws them anew each second.",
        add_top_options,
    ),
    Command(
        "reload",
        "load the code and the configuration anew",
        "Loads the code and the configuration anew. Prints the error and ends with 1 when the new code does not work; "
        "the old code serves on then.",
        add_site,
    ),
    Command(
        "rollback",
        "return to the code before the last reload",
        "Has the generation before the last reload serve again.",
        add_site,
    ),
    Command(
        "stop",
        "stop a supervisor",
        "Stops gracefully, and waits for the end. Stops at once when asked a second time.",
        add_site,
    ),
    Command(
        "scale",
        "change the number of workers",
        "Changes the number of workers, until the configuration changes it.",
        add_scale_options,
    ),
    Command(
        "restart",
        "restart a process beside the web",
        "Ends a process of the setting `processes`, and starts it again; each one of them when NAME has several.",
        add_restart_options,
    ),
    Command(
        "stacks",
        "show where every thread is",
        "Shows where every Python thread of every worker is.",
        add_site,
    ),
    Command("reopen-logs", "open the log files anew", "Opens the log files anew, after they were rotated.", add_site),
    Command(
        "upgrade",
        "hand over to a new supervisor",
        "Starts Penstock anew, perhaps in another version, and hands the sockets over to it when it serves.",
        add_site,
    ),
    Command(
        "import",
        "make penstock.toml from the configuration of another server",
        "Makes penstock.toml from what Gunicorn, uWSGI, or Apache with mod_wsgi are configured with, and reports what "
        "became of each line.",
        add_import_options,
    ),
    Command(
        "export",
        "write the files of nginx, systemd, Docker, Kubernetes, Gunicorn and others",
        "Says in another program's files what `penstock serve` with the same arguments would serve, and on standard "
        "error what they cannot say. Prints them, unless --write names a directory. Of several sites it exports all, "
        "or the one whose name stands behind the kind.",
        add_export_options,
        settings=True,
        usage="%(prog)s [OPTION ...] KIND [TARGET]",
    ),
)
