"""The layers of the configuration: default < penstock.toml < environment < command line. Every value keeps its origin.

What penstock.toml has below [env.NAME] is laid over the rest of the file when NAME is chosen. Refuses unknown keys and
wrong values with the place they came from. Does not look at the application.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from penstock.env_files import read_variable
from penstock.errors import ConfigurationError, nearest
from penstock.kinds import WrongTable
from penstock.settings import BY_NAME, TABLE, Setting

FILE_NAME = "penstock.toml"
DJANGO_ENV = "DJANGO_ENV"


class Value(NamedTuple):
    """What a setting is, and who said so."""

    value: Any
    origin: str


class Config:
    """The value of every setting, as an attribute: `config.workers`; `config.origin("workers")` says who chose it."""

    def __init__(
        self, values: Mapping[str, Value], directory: str, file: str | None, environments: Collection[str] = ()
    ) -> None:
        self.values = values
        self.directory = directory  # where the command was started, or --chdir
        self.file = file
        self.environments = environments  # the names of the file's [env.NAME]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name].value
        except KeyError:
            raise AttributeError(name) from None

    def origin(self, name: str) -> str:
        """Where the setting's value came from: "default", a variable, a flag, or a place in a file."""
        return self.values[name].origin


def find_above(directory: str, name: str) -> str | None:
    """The path of the file `name` in `directory` or the nearest one above it."""
    while True:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def load(arguments: Mapping[str, Any], environment: Mapping[str, str], start: str) -> Config:
    """Lays the four layers over each other.

    `arguments` are those of the command line that were given, by setting name (and "config"); `start` is the absolute
    working directory. Raises ConfigurationError.
    """
    values = {setting.name: read(setting, setting.default, "default", start) for setting in TABLE}
    above: dict[str, Value] = {}
    for setting in TABLE:
        for variable in (setting.also, setting.variable):
            if variable in environment:
                above[setting.name] = read(setting, environment[variable], variable, start)
        if setting.name in arguments:
            above[setting.name] = read(setting, arguments[setting.name], setting.flag, start)
    directory = above["chdir"].value if "chdir" in above else start
    if not os.path.isdir(directory):
        origin = above["chdir"].origin if "chdir" in above else "the working directory"
        raise ConfigurationError(f"{origin} names {directory}, which is not a directory")
    named = arguments.get("config") or environment.get("PENSTOCK_CONFIG")
    file = os.path.join(start, named) if named else find_file(directory)
    overlays: dict[str, dict[str, Value]] = {}
    if file:
        layer, overlays = read_file(file)
        values.update(layer)
    env = above.get("env", values["env"])
    if env.origin == "default":
        env = values["env"] = env_of_file(values["chdir"].value or directory)
    values.update({name: over(values[name], value) for name, value in overlays.get(env.value, {}).items()})
    values.update(above)
    return Config(values, values["chdir"].value or directory, file, tuple(overlays))


def env_of_file(directory: str) -> Value:
    """The environment that DJANGO_ENV in a .env beside manage.py, or in `directory`, names; else the default."""
    manage = find_above(directory, "manage.py")
    variable = read_variable(os.path.dirname(manage) if manage else directory, DJANGO_ENV)
    if variable is None:
        return Value("", "default")
    return read(BY_NAME["env"], variable.value, f"{DJANGO_ENV} in {variable.origin}", directory)


def over(lower: Value, upper: Value) -> Value:
    """A value of [env.NAME] over that of the same file: tables are joined, all else is replaced."""
    if isinstance(lower.value, Mapping) and isinstance(upper.value, Mapping):
        return Value({**lower.value, **upper.value}, upper.origin)
    return upper


def find_file(directory: str) -> str | None:
    """penstock.toml in the directory, or beside the manage.py here or above."""
    manage = find_above(directory, "manage.py")
    homes = (directory, os.path.dirname(manage)) if manage else (directory,)
    return next((path for home in homes if os.path.isfile(path := os.path.join(home, FILE_NAME))), None)


def read(setting: Setting, value: object, origin: str, base: str) -> Value:
    """The value in its unit; ConfigurationError names the setting, the origin, the value and what is accepted."""
    try:
        return Value(setting.kind.read(value, base), origin)
    except ValueError as error:
        raise ConfigurationError(
            f"{setting.name} cannot be {setting.kind.quote(value)} ({origin}): {error}",
            f"the default is {setting.kind.show(read_default(setting))!r}" if setting.default else "",
        ) from error


def read_default(setting: Setting) -> Any:
    """The default in the setting's unit."""
    return setting.kind.read(setting.default, "")


def read_file(path: str) -> tuple[dict[str, Value], dict[str, dict[str, Value]]]:
    """The values of a penstock.toml, and those of each [env.NAME]. Raises ConfigurationError with file and line."""
    import tomllib  # noqa: PLC0415 (12 ms that a start without a file does not pay)

    shown = os.path.relpath(path)
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
        sections = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        hint = "a gunicorn.conf.py is Python: write its settings into penstock.toml" if path.endswith(".py") else ""
        raise ConfigurationError(f"{shown} is not valid TOML: {error}", hint) from error

    environments = sections.pop("env", {})
    tables = environments.values() if isinstance(environments, Mapping) else [environments]
    if not all(isinstance(table, Mapping) for table in tables):
        raise ConfigurationError(
            f"{shown}:{line_of(text, '', 'env')}: below env are tables with sections of their own",
            "as in [env.production.site]; which one is taken is env in [site]",
        )
    values = read_sections(sections, path, text, "")
    # Also those that are not chosen, so that a slip does not wait for the day on which one is.
    return values, {name: read_sections(content, path, text, f"env.{name}.") for name, content in environments.items()}


def read_sections(sections: Mapping[str, Any], path: str, text: str, prefix: str) -> dict[str, Value]:
    """The values of [server] and [site], or of those below `prefix`."""
    shown = os.path.relpath(path)
    values = {}
    for section, key, value in entries(sections, shown, text, prefix):
        setting = BY_NAME.get(key)
        origin = f"{shown}:{line_of(text, prefix + section, key)}"
        if setting is None or setting.section != section:
            names = [setting.name for setting in TABLE if setting.section == section]
            hint = f"it belongs in [{prefix}{setting.section}]" if setting else nearest(key, names)
            raise ConfigurationError(f"{origin}: [{prefix}{section}] has no key {key!r}", hint)
        if prefix and key == "env":
            raise ConfigurationError(f"{origin}: [{prefix}{section}] cannot choose another env", "write it in [site]")
        try:
            values[key] = read(setting, value, origin, os.path.dirname(path))
        except ConfigurationError as error:
            if isinstance(error.__cause__, WrongTable):
                wrong = error.__cause__
                origin = f"{shown}:{line_in_table(text, f'{prefix}{section}.{key}', wrong.index, wrong.key)}"
                raise ConfigurationError(f"{origin}: {key}: {wrong}", wrong.hint) from wrong
            raise
    return values


def entries(sections: Mapping[str, Any], shown: str, text: str, prefix: str) -> Iterator[tuple[str, str, Any]]:
    """Each (section, key, value) of the file, or of a table in it; refuses what is not in a section that exists."""
    for section, content in sections.items():
        if section not in ("server", "site") or not isinstance(content, Mapping):
            setting = BY_NAME.get(section)
            hint = f"the sections are [{prefix}server] and [{prefix}site]" + (
                "" if prefix else ", and [env.NAME.site]"
            )
            if section == "sites":
                hint = "one site: [site]"
            elif setting:
                hint = f"write it below [{prefix}{setting.section}]"
            line = line_of(text, prefix.removesuffix("."), section)
            raise ConfigurationError(f"{shown}:{line}: unknown key {prefix + section!r}", hint)
        for key, value in content.items():
            yield section, key, value


def line_in_table(text: str, name: str, index: int, key: str) -> int:
    """The line of a key in one of several tables of a name, or of its header; 1 when they are written otherwise."""
    lines = text.splitlines()
    headers = [number for number, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]", line)]
    if index >= len(headers):
        return line_of(text, *name.split("."))
    for number in range(headers[index] + 1, len(lines)):
        if re.match(r"\s*\[", lines[number]):
            break
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", lines[number]):
            return number + 1
    return headers[index] + 1


def line_of(text: str, section: str, key: str) -> int:
    """The line on which a key of a section stands, as well as a look at each line can tell; else 1."""
    current = ""
    wanted = f"{section}.{key}".removeprefix(".")
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([\w.\"-]+)\s*\]", line)
        if header:
            current = header[1].replace('"', "")
            if f"{current}.".startswith(f"{wanted}."):
                return number
        elif current == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    return 1
