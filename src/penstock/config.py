"""The layers of the configuration: default < penstock.toml < environment < command line. Every value keeps its origin.

What penstock.toml has below [env.NAME] is laid over the rest of the file when NAME is chosen. Of several sites one can
be chosen: its table is read as [site] then. Refuses unknown keys and wrong values with the place they came from. Does
not look at the application.
"""

import glob
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from penstock import log
from penstock.env_files import read_variable
from penstock.errors import ConfigurationError, nearest
from penstock.kinds import WrongFormat, WrongTable
from penstock.settings import BY_NAME, LAYERED, TABLE, Setting, belongs_in

FILE_NAME = "penstock.toml"
DJANGO_ENV = "DJANGO_ENV"

SITE_NAME = r"[A-Za-z0-9_-]+"
ONLY_ONE = ("app", "chdir", "settings")  # settings that name one application


class Value(NamedTuple):
    """What a setting is, and who said so."""

    value: Any
    origin: str


class Layer(NamedTuple):
    """What a penstock.toml says."""

    values: dict[str, Value]
    environments: dict[str, dict[str, Value]]  # by the name of [env.NAME]
    sites: tuple[str, ...] | None = None  # their names, when there are several
    site_pattern: str = ""  # of their files; "" when they are tables
    site_file: str = ""  # of the one that was chosen; "" when it is a table


class Config:
    """The value of every setting, as an attribute: `config.workers`; `config.origin("workers")` says who chose it."""

    def __init__(
        self,
        values: Mapping[str, Value],
        directory: str,
        file: str | None,
        layer: Layer,
        site: str = "",
    ) -> None:
        self.values = values
        self.directory = directory  # where the command was started, or --chdir
        self.file = file
        self.environments = tuple(layer.environments)  # the names of the file's [env.NAME]
        self.layer = layer
        self.site = site  # the name of the one of several that this is about

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name].value
        except KeyError:
            raise AttributeError(name) from None

    @property
    def sites(self) -> Collection[str]:
        """The names of the sites, when there are several."""
        return self.layer.sites or ()

    @property
    def has_sites(self) -> bool:
        """Whether there are several: none at all, perhaps, while there is no file of one."""
        return self.layer.sites is not None

    @property
    def site_pattern(self) -> str:
        """The pattern of the sites' files; "" when they are tables."""
        return self.layer.site_pattern

    @property
    def site_file(self) -> str:
        """The file of the site that this is about; "" when it has none of its own."""
        return self.layer.site_file

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


def load(arguments: Mapping[str, Any], environment: Mapping[str, str], start: str, reads_file: bool = True) -> Config:
    """Lays the four layers over each other.

    `arguments` are those of the command line that were given, by setting name (and "config", and "site" for one of
    several sites); `start` is the absolute working directory. Without `reads_file` penstock.toml counts only as the
    place where it is. Raises ConfigurationError.
    """
    values = {setting.name: read(setting, setting.default, "default", start) for setting in TABLE}
    above: dict[str, Value] = {}
    for setting in LAYERED:
        for variable in (setting.also, setting.variable):
            if variable in environment:
                above[setting.name] = read(setting, environment[variable], variable, start)
        if setting.name in arguments:
            above[setting.name] = read(setting, arguments[setting.name], setting.flag, start)
    directory = above["chdir"].value if "chdir" in above else start
    if not os.path.isdir(directory):
        origin = above["chdir"].origin if "chdir" in above else "the working directory"
        raise ConfigurationError(f"{origin} names {directory}, which is not a directory")
    if not os.access(directory, os.X_OK):
        raise ConfigurationError(
            f"user {os.geteuid()} may not enter {directory}",
            f"`namei -l {directory}` shows whom each directory lets in",
        )
    named = arguments.get("config") or environment.get("PENSTOCK_CONFIG")
    file = os.path.join(start, named) if named else find_file(directory)
    layer = Layer({}, {})
    site = arguments.get("site", "")
    if file and reads_file:
        layer = read_file(file, site)
        values.update(layer.values)
    elif site:
        raise unknown_site(site, (), directory)
    if site:
        # What names one application cannot be meant for each of several.
        above = {name: value for name, value in above.items() if name not in ONLY_ONE}
        directory = os.path.dirname(file or directory)
    env = above.get("env", values["env"])
    if env.origin == "default":
        env = values["env"] = env_of_file(values["chdir"].value or directory)
    values.update({name: over(values[name], value) for name, value in layer.environments.get(env.value, {}).items()})
    values.update(above)
    if site:
        prefix, origin = values["statsd_prefix"]
        values["statsd_prefix"] = Value(f"{prefix}.{site}", origin)
    return Config(values, values["chdir"].value or directory, file, layer, site)


def keep_fixed(fresh: Config, before: Config) -> Config:
    """A configuration that was read anew, with the old values of what only a restart can change; says which."""
    fixed = {setting.name: before.values[setting.name] for setting in TABLE if not setting.reloads}
    changed = [name for name, old in fixed.items() if fresh.values[name].value != old.value]
    if changed:
        log.warning(f"a reload does not change {', '.join(changed)}: restart Penstock for that")
    return Config({**fresh.values, **fixed}, fresh.directory, fresh.file, fresh.layer, fresh.site)


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
    # Also a link that leads nowhere: it is an error, and not as if there were no configuration.
    return next((path for home in homes if os.path.lexists(path := os.path.join(home, FILE_NAME))), None)


def read(setting: Setting, value: object, origin: str, base: str) -> Value:
    """The value in its unit; ConfigurationError names the setting, the origin, the value and what is accepted."""
    try:
        return Value(setting.kind.read(value, base), origin)
    except ValueError as error:
        raise ConfigurationError(
            f"{setting.name} cannot be {setting.kind.quote(value)} ({origin}): {error}",
            error.hint if isinstance(error, WrongFormat) else hint_of_default(setting),
        ) from error


def hint_of_default(setting: Setting) -> str:
    """What a setting is when nobody chooses; "" where that is nothing."""
    return f"the default is {setting.kind.show(read_default(setting))!r}" if setting.default else ""


def read_default(setting: Setting) -> Any:
    """The default in the setting's unit."""
    return setting.kind.read(setting.default, "")


def read_file(path: str, site: str) -> Layer:
    """What a penstock.toml says; of several sites only `site` is read. ConfigurationError has file and line."""
    shown = os.path.relpath(path)
    sections, text = parse(path)
    environments = sections.pop("env", {})
    tables = environments.values() if isinstance(environments, Mapping) else [environments]
    if not all(isinstance(table, Mapping) for table in tables):
        raise ConfigurationError(
            f"{shown}:{line_of(text, '', 'env')}: below env are tables with sections of their own",
            "as in [env.production.site]; which one is taken is env in [site]",
        )
    places = site_files(sections, path, text)
    if site and site not in places:
        raise unknown_site(site, places, shown)
    values = read_sections(sections, path, text, "", site)
    # Also those that are not chosen, so that a slip does not wait for the day on which one is.
    overlays = {
        name: read_sections(content, path, text, f"env.{name}.", site) for name, content in environments.items()
    }
    site_file = places[site] if site and places[site] != path else ""
    if site_file:
        own, own_text = parse(site_file)
        if others := own.keys() - {"site"}:
            name = min(others)
            raise ConfigurationError(
                f"{os.path.relpath(site_file)}:{line_of(own_text, '', name)}: unknown key {name!r}",
                f"the file of a site has [site]; all else is written in {shown}",
            )
        values.update(read_sections(own, site_file, own_text, "", site))
    if "sites" not in sections:
        return Layer(values, overlays)
    pattern = sections["sites"] if isinstance(sections["sites"], str) else ""
    pattern = pattern and os.path.join(os.path.dirname(path), pattern)
    return Layer(values, overlays, tuple(places), pattern, site_file)


def parse(path: str) -> tuple[dict[str, Any], str]:
    """What a TOML file says, and its text. Raises ConfigurationError."""
    import tomllib  # noqa: PLC0415 (12 ms that a start without a file does not pay)

    shown = os.path.relpath(path)
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
        return tomllib.loads(text), text
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        hint = "a gunicorn.conf.py is Python: write its settings into penstock.toml" if path.endswith(".py") else ""
        raise ConfigurationError(f"{shown} is not valid TOML: {error}", hint) from error


def site_files(sections: Mapping[str, Any], path: str, text: str) -> dict[str, str]:
    """The names of several sites, and the file of each: tables of this file, or a file for each."""
    sites = sections.get("sites")
    if sites is None:
        return {}
    origin = f"{os.path.relpath(path)}:{line_of(text, '', 'sites')}"
    if "site" in sections:
        raise ConfigurationError(
            f"{origin}: there are [site] and sites", "one site is [site]; of several each is a [sites.NAME]"
        )
    if isinstance(sites, str):
        files = sorted(glob.glob(os.path.join(os.path.dirname(path), sites)))
        named = {os.path.splitext(os.path.basename(file))[0]: file for file in files}
    elif isinstance(sites, Mapping):
        named = dict.fromkeys(sites, path)
    else:
        raise ConfigurationError(f"{origin}: sites is neither tables nor a pattern", 'as in sites = "sites.d/*.toml"')
    for name in named:
        if not re.fullmatch(SITE_NAME, name):
            raise ConfigurationError(
                f"{origin}: a site cannot be named {name!r}", "letters, digits, - and _ may be in the name"
            )
    return named


def unknown_site(name: str, names: Collection[str], place: str) -> ConfigurationError:
    """The error for a site that is not there."""
    if not names:
        return ConfigurationError(f"there are no sites in {place}", "several sites are tables: [sites.NAME]")
    return ConfigurationError(
        f"there is no site {name!r} in {place}", nearest(name, names) or f"the sites are {', '.join(names)}"
    )


def read_sections(sections: Mapping[str, Any], path: str, text: str, prefix: str, site: str) -> dict[str, Value]:
    """The values of [server] and [site], or of those below `prefix`; of several sites, those of `site`."""
    shown = os.path.relpath(path)
    values = {}
    for section, heading, key, value in entries(sections, shown, text, prefix, site):
        setting = BY_NAME.get(key)
        origin = f"{shown}:{line_of(text, heading, key)}"
        if setting is None or not belongs_in(setting, section):
            names = [setting.name for setting in TABLE if belongs_in(setting, section)]
            hint = f"it belongs in {home_of(setting, prefix)}" if setting else nearest(key, names)
            raise ConfigurationError(f"{origin}: [{heading}] has no key {key!r}", hint)
        if prefix and key == "env":
            raise ConfigurationError(f"{origin}: [{heading}] cannot choose another env", "write it in [site]")
        try:
            values[key] = read(setting, value, origin, os.path.dirname(path))
        except ConfigurationError as error:
            if isinstance(error.__cause__, WrongTable):
                wrong = error.__cause__
                origin = f"{shown}:{line_in_table(text, f'{heading}.{key}', wrong.index, wrong.key)}"
                raise ConfigurationError(f"{origin}: {key}: {wrong}", wrong.hint) from wrong
            raise
    return values


def home_of(setting: Setting, prefix: str) -> str:
    """The heading that a setting stands below."""
    return f"[{prefix}{setting.section}{'.NAME' if setting.section == 'sites' else ''}]"


def entries(
    sections: Mapping[str, Any], shown: str, text: str, prefix: str, site: str
) -> Iterator[tuple[str, str, str, Any]]:
    """Each (section, heading, key, value) of the file, or of a table in it; refuses what is not in a section.

    The table of `site` is the section "sites"; so is [site] in a file of its own.
    """
    for section, content in sections.items():
        if section == "sites" and isinstance(content, str) and not prefix:
            continue
        if section not in ("server", "site", "sites") or not isinstance(content, Mapping):
            line = line_of(text, prefix.removesuffix("."), section)
            name = prefix + section
            if section in ("server", "site", "sites"):
                raise ConfigurationError(f"{shown}:{line}: {name} is no table", f"it begins with [{name}]")
            setting = BY_NAME.get(section)
            hint = f"the sections are [{prefix}server] and [{prefix}site]" + (
                "" if prefix else ", [sites.NAME] and [env.NAME.site]"
            )
            if setting:
                hint = f"write it below {home_of(setting, prefix)}"
            raise ConfigurationError(f"{shown}:{line}: unknown key {name!r}", hint)
        kind, heading, table = section, prefix + section, content
        if section == "sites":
            heading, table = f"{prefix}sites.{site}", content.get(site, {})
        elif section == "site" and site:
            kind = "sites"
        if not isinstance(table, Mapping):
            line = line_of(text, f"{prefix}sites", site)
            raise ConfigurationError(f"{shown}:{line}: the site {site} is no table", f"as in [{prefix}sites.{site}]")
        for key, value in table.items():
            yield kind, heading, key, value


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
