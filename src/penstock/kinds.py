"""The kinds of values that settings hold: how each is read, shown and described. Refuses what it cannot read exactly.

`read` takes what any layer gives: text from the environment and the command line, typed values from TOML. It raises
ValueError with the reason when the value is none of `forms`.
"""

# ruff: noqa: D102 (what read, show and schema do is said once, in Kind)

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock import secrets


class Kind:
    """Text as it is; the other kinds refine it."""

    forms = "text"
    metavar = "TEXT"
    repeatable = False

    def __init__(self, metavar: str = "") -> None:
        self.metavar = metavar or self.metavar

    def read(self, value: object, base: str) -> Any:  # noqa: ARG002
        """The value in its unit. `base` is the directory that relative paths refer to."""
        if not isinstance(value, str):
            raise ValueError(f"expected {self.forms}")
        return value

    def show(self, value: Any) -> str:
        """The value as one would write it."""
        return str(value)

    def disclose(self, value: Any) -> Any:
        """What a program may see of the value."""
        return value

    def quote(self, value: object) -> str:
        """A value that cannot be read, for the error message."""
        return repr(value)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"type": "string"}


class Name(Kind):
    """A word that must look like a name."""

    def __init__(self, metavar: str, pattern: str, forms: str) -> None:
        super().__init__(metavar)
        self.pattern, self.forms = pattern, forms

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"expected {self.forms}")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$"}


class Path(Kind):
    """A file or a directory; relative ones refer to the file that names them, or to the working directory."""

    forms = "a path"
    metavar = "PATH"

    def __init__(self, special: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.special = special

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        return text if text in ("", *self.special) else os.path.normpath(os.path.join(base, os.path.expanduser(text)))


class Flag(Kind):
    """True or false."""

    forms = "true or false"
    metavar = ""
    words: Mapping[str, bool] = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }

    def read(self, value: object, base: str) -> bool:  # noqa: ARG002
        word = str(value).lower()
        if word not in self.words:
            raise ValueError(f"expected {self.forms}")
        return self.words[word]

    def show(self, value: bool) -> str:
        return "true" if value else "false"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Choice(Kind):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.forms = "one of " + ", ".join(words)
        self.metavar = "|".join(words)

    def read(self, value: object, base: str) -> str:  # noqa: ARG002
        if value not in self.words:
            raise ValueError(f"expected {self.forms}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


class Count(Kind):
    """A whole number within limits; "auto", where allowed, is worked out from the machine."""

    def __init__(self, minimum: int, maximum: int, auto: bool = False) -> None:
        self.minimum, self.maximum, self.auto = minimum, maximum, auto
        self.forms = f"a whole number from {minimum} to {maximum}" + (', or "auto"' if auto else "")
        self.metavar = "N|auto" if auto else "N"

    def read(self, value: object, base: str) -> int | str:  # noqa: ARG002
        if self.auto and value == "auto":
            return "auto"
        text = str(value)
        if not re.fullmatch(r"-?[0-9]{1,12}", text) or not self.minimum <= int(text) <= self.maximum:
            raise ValueError(f"expected {self.forms}")
        return int(text)

    def schema(self) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return {"anyOf": [number, {"const": "auto"}]} if self.auto else number


class Workers(Count):
    """A number of processes, "auto", or a range within which it follows the load: "2..8"."""

    def __init__(self, maximum: int) -> None:
        super().__init__(1, maximum, auto=True)
        self.forms = f'a whole number from 1 to {maximum}, a range like "2..8", or "auto"'
        self.metavar = "N|N..N|auto"

    def read(self, value: object, base: str) -> int | str:
        least, dots, most = str(value).partition("..")
        if not dots:
            return super().read(value, base)
        low, high = (int(super(Workers, self).read(part, base)) if part != "auto" else 0 for part in (least, most))
        if not 0 < low <= high:
            raise ValueError(f"expected {self.forms}")
        return f"{low}..{high}" if low < high else low

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [*super().schema()["anyOf"], {"type": "string", "pattern": r"^[0-9]+\.\.[0-9]+$"}]}


class Measure(Kind):
    """A number with a unit. The smallest unit is what the value is kept in, and what a bare number means."""

    units: Mapping[str, float]
    pattern: str

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum
        self.forms += f", from {self.show(minimum)} to {self.show(maximum)}"

    def number(self, value: object) -> float:
        match = re.fullmatch(self.pattern, str(value).strip())
        number = float(match[1]) * self.units[match[2] or ""] if match else -1
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"expected {self.forms}")
        return number

    def show(self, value: float) -> str:
        unit, scale = next((unit, scale) for unit, scale in self.units.items() if not value % scale)
        return f"{int(value / scale)}{unit}"

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": f"^{self.pattern}$"}, {"type": "number", "minimum": 0}]}


class Duration(Measure):
    """A time, kept in seconds."""

    forms = 'a duration like "500ms", "30s" or "2m"; a bare number means seconds'
    metavar = "DURATION"
    units: Mapping[str, float] = {"h": 3600, "m": 60, "s": 1, "ms": 0.001, "": 1}
    pattern = r"([0-9]+(?:\.[0-9]+)?)\s*(h|ms|m|s|)"

    def read(self, value: object, base: str) -> float:  # noqa: ARG002
        return self.number(value)

    def show(self, value: float) -> str:
        return super().show(value) if value and value == int(value) else f"{int(value * 1000)}ms" if value else "0s"


class Size(Measure):
    """An amount of memory or disk, kept in bytes."""

    forms = 'a size like "8KiB" or "1MiB"; a bare number means bytes'
    metavar = "SIZE"
    units: Mapping[str, float] = {
        "GiB": 2**30,
        "MiB": 2**20,
        "KiB": 2**10,
        "B": 1,
        "GB": 10**9,
        "MB": 10**6,
        "kB": 1000,
        "KB": 1000,
        "": 1,
    }
    pattern = r"([0-9]+)\s*(GiB|MiB|KiB|B|GB|MB|kB|KB|)"

    def read(self, value: object, base: str) -> int:  # noqa: ARG002
        return int(self.number(value))

    def show(self, value: float) -> str:
        return super().show(value) if value else "0B"


class Rate(Size):
    """A speed, kept in bytes a second."""

    forms = 'a rate like "500B/s"; a bare number means bytes a second'
    metavar = "RATE"
    pattern = Size.pattern + "(?:/s)?"

    def show(self, value: float) -> str:
        return super().show(value) + "/s"


class Mask(Kind):
    """The rights that new files do not get."""

    forms = 'an octal number like "027", as text'
    metavar = "MASK"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        if text and not re.fullmatch(r"(?:0o)?[0-7]{1,4}", text):
            raise ValueError(f"expected {self.forms}")
        return f"{int(text, 8):03o}" if text else ""


class Address(Kind):
    """Where to listen; normalised to host:port, [v6]:port, unix:/path, fd://N or fd://NAME."""

    forms = "host:port, [v6]:port, :port, port, unix:PATH, fd://N or fd://NAME"
    metavar = "ADDR"

    def read(self, value: object, base: str) -> str:
        text = str(value)
        if text.startswith("unix:") and len(text) > 5:
            return "unix:" + os.path.normpath(os.path.join(base, text[5:]))
        if re.fullmatch(r"fd://[^:/\s]+", text):
            return text
        match = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:/\s]*):)?([0-9]{1,5})", text)
        if not match or int(match[2]) > 65535:
            raise ValueError(f"expected {self.forms}")
        # "8000" stays on this machine; ":8000" is asked for in so many words, and means every IPv4 address.
        host = "127.0.0.1" if match[1] is None else match[1] or "0.0.0.0"
        return f"{host}:{int(match[2])}"


class SiteAddress(Address):
    """The same, or one at which a web server speaks the uwsgi protocol: uwsgi: stands before it then."""

    forms = Address.forms + ", each also behind uwsgi:"

    def read(self, value: object, base: str) -> str:
        uwsgi = "uwsgi:" if str(value).startswith("uwsgi:") else ""
        return uwsgi + super().read(str(value).removeprefix(uwsgi), base)


class Server(Kind):
    """Where another server is asked or told something."""

    forms = "host:port or [v6]:port"
    metavar = "HOST:PORT"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        match = re.fullmatch(r"(?:\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:/\s]+):([0-9]{1,5})", text)
        if text and (not match or not 0 < int(match[1]) < 65536):
            raise ValueError(f"expected {self.forms}")
        return text


class WrongFormat(ValueError):  # noqa: N818 (it says what is wrong)
    """A format of the access log in which no line can be written."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


class LogFormat(Kind):
    """How a line of the access log looks: the engine knows which atoms there are."""

    forms = "combined, json, or a format of Gunicorn's atoms"
    metavar = "FORMAT"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        if text != "combined":  # the default, which every start reads
            from penstock._native import check_access_log_format  # noqa: PLC0415

            try:
                check_access_log_format(text)
            except ValueError as error:
                reason, _, hint = str(error).partition("; hint: ")
                raise WrongFormat(reason, hint) from error
        return text


class LogConfig(Kind):
    """A dictionary for logging.config.dictConfig: where it is."""

    forms = "a path to a .json or .toml file, or module:attribute"
    metavar = "FILE|MODULE:NAME"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        if text.endswith((".json", ".toml")):
            return Path().read(text, base)
        if text and not re.fullmatch(r"[\w.]+:\w+", text):
            raise ValueError(f"expected {self.forms}")
        return text


OBJECT = r"[^\W\d]\w*(\.[^\W\d]\w*)*"  # a name, and names within it


class Target(Name):
    """An object of a module."""

    def __init__(self) -> None:
        super().__init__("MODULE:OBJECT", rf"\w[\w.-]*:{OBJECT}", "module:attribute")


class Hook(Name):
    """A function of a module, or none."""

    def __init__(self) -> None:
        super().__init__("MODULE:FUNCTION", rf"(\w[\w.-]*:{OBJECT})?", "module:function")


class ApplicationTarget(Name):
    """A WSGI or ASGI application; the attribute may be left out, or called."""

    def __init__(self) -> None:
        forms = "module, module:attribute or module:factory()"
        super().__init__("MODULE:OBJECT", rf"\w[\w.-]*(:{OBJECT}(\(\))?)?", forms)


class Listing(Kind):
    """Several values of one kind: a TOML array, a repeated flag, or text with commas."""

    repeatable = True

    def __init__(self, item: Kind) -> None:
        self.item = item
        self.forms = f"a list; each item {item.forms}"
        self.metavar = item.metavar

    def read(self, value: object, base: str) -> list[Any]:
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else self.split(value)
        return [self.item.read(item, base) for item in items]

    def split(self, value: object) -> list[str]:
        if not isinstance(value, str):
            raise ValueError(f"expected {self.forms}")
        return [part.strip() for part in value.split(",") if part.strip()]

    def show(self, value: list[Any]) -> str:
        return ", ".join(self.item.show(item) for item in value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "array", "items": self.item.schema()}, {"type": "string"}]}


class Folders(Kind):
    """Directories by URL prefix: a TOML table, a repeated /URL=DIR, or text with commas."""

    forms = "/URL=DIR; in TOML a table of such pairs"
    metavar = "/URL=DIR"
    repeatable = True

    def read(self, value: object, base: str) -> dict[str, str]:
        if isinstance(value, str):
            value = [pair for pair in value.split(",") if pair.strip()]
        pairs = value.items() if isinstance(value, Mapping) else value
        if isinstance(pairs, Sequence):
            pairs = [self.pair(item) for item in pairs]
        if not isinstance(pairs, Iterable):
            raise ValueError(f"expected {self.forms}")
        table: dict[str, str] = {}
        for url, target in pairs:
            prefix = self.prefix(url)
            if prefix in table:
                raise ValueError(f"{prefix} is there twice")
            table[prefix] = self.target(target, base)
        return table

    def target(self, target: object, base: str) -> str:
        """What is found below the prefix."""
        return Path().read(target, base)

    def pair(self, item: object) -> tuple[str, str]:
        url, equals, directory = str(item).strip().partition("=")
        if not equals or not directory:
            raise ValueError(f"expected {self.forms}")
        return url, directory

    def prefix(self, url: str) -> str:
        # "/" would hide the application behind its own files.
        if not url.startswith("/") or not url.strip("/"):
            raise ValueError(f"expected {self.forms}; the URL begins with / and is more than that")
        return f"/{url.strip('/')}/"

    def show(self, value: Mapping[str, str]) -> str:
        return ", ".join(f"{url}={directory}" for url, directory in value.items())

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^/.+"}}


class Mounts(Folders):
    """Applications by URL prefix: a TOML table, a repeated /URL=MODULE:APP, or text with commas."""

    forms = "/URL=MODULE:APP; in TOML a table of such pairs"
    metavar = "/URL=MODULE:APP"

    def target(self, target: object, base: str) -> str:
        return ApplicationTarget().read(target, base)

    def prefix(self, url: str) -> str:
        return super().prefix(url).rstrip("/")


class Peer(Kind):
    """Whom a rule means: where a client comes from, or a function that looks at the request."""

    forms = "an address, a network, unix, or MODULE:FUNCTION (of environ and host)"
    metavar = "ADDR"

    def read(self, value: object, base: str) -> str:
        from ipaddress import ip_network  # noqa: PLC0415 (10 ms that few configurations pay)

        text: str = super().read(value, base)
        if text == "unix":
            return text
        try:
            return str(ip_network(text))
        except ValueError as error:
            if "host bits" in str(error):
                raise ValueError(f"did you mean {ip_network(text, strict=False)}?") from error
            if ":" not in text and not text.endswith((".py", ".wsgi")):
                raise ValueError(f"expected {self.forms}") from error
        return Script().read(text, base)


class Script(Kind):
    """A module, or an object in it; the module may be a file, as mod_wsgi has them."""

    forms = "module, module:object, or a path to a .py or .wsgi file (with :object if need be)"
    metavar = "MODULE:OBJECT"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        match = re.fullmatch(r"(.+\.(?:py|wsgi))(:[^\W\d]\w*)?", text)
        if match:
            return Path().read(match[1], base) + (match[2] or "")
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?", text):
            raise ValueError(f"expected {self.forms}")
        return text


class Provider(Script):
    """Who knows the passwords."""

    forms = "django, htpasswd:FILE, none (addresses alone decide), " + Script.forms
    metavar = "PROVIDER"

    def read(self, value: object, base: str) -> str:
        kind, _, file = str(value).partition(":")
        return f"htpasswd:{Path().read(file, base)}" if kind == "htpasswd" and file else super().read(value, base)


class UrlPath(Kind):
    """A path of the site and what is below it; kept without a slash at the end, the whole site as a slash."""

    forms = "a path that begins with /, not percent-encoded"
    metavar = "PATH"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        names = [name for name in text.split("/") if name]
        if not text.startswith("/") or re.search(r"[%?#\\\x00-\x20\x7f]", text) or {".", ".."}.intersection(names):
            raise ValueError(f"expected {self.forms}")
        return "/" + "/".join(names)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^/"}


class Host(Kind):
    """The name of a host, or of all hosts below a name."""

    forms = 'a name like "shop.example", or "*.shop.example", without a port'
    metavar = "HOST"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base).lower().rstrip(".")
        if not text.isascii():
            text = text.encode("idna").decode()  # UnicodeError is a ValueError
        if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", text):
            raise ValueError(f"expected {self.forms}")
        return text


class Realm(Kind):
    """What a browser shows when it asks for a password."""

    forms = 'a few words of ASCII, without " and \\'

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        if not re.fullmatch(r"[ !#-\[\]-~]+", text):
            raise ValueError(f"expected {self.forms}")
        return text


class Key(NamedTuple):
    """One key of a table; without a default it has to be there."""

    name: str
    kind: Kind
    default: Any
    help: str


class WrongTable(ValueError):  # noqa: N818 (it says what is wrong)
    """One of several tables is wrong: which (from 0), and in which key; "" for the table itself."""

    def __init__(self, index: int, key: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{f'{key} of ' if key else ''}table {index + 1}: {reason}")
        self.index, self.key, self.hint = index, key, hint


class Tables(Kind):
    """Tables with the same keys, told apart by the first: an array of tables in TOML, else as JSON."""

    forms = "a list of tables; in the environment and on the command line as JSON"
    metavar = "JSON"
    repeatable = True

    def __init__(self, *keys: Key) -> None:
        super().__init__()
        self.keys = keys

    def read(self, value: object, base: str) -> Any:
        tables: list[dict[str, Any]] = []
        for index, table in enumerate(self.parse(value)):
            read = self.read_table(index, table, base)
            name = self.keys[0].name
            if any(read[name] == earlier[name] for earlier in tables):
                raise WrongTable(index, name, f"{read[name]} has a table already")
            tables.append(read)
        return tables

    def parse(self, value: object) -> Iterable[Any]:
        """The tables as they were given."""
        if not isinstance(value, str):
            items = value if isinstance(value, Sequence) else [value]
            return [table for item in items for table in (self.parse(item) if isinstance(item, str) else [item])]
        import json  # noqa: PLC0415 (only where tables are given as text)

        try:
            parsed = json.loads(value or "[]")
        except ValueError as error:
            raise ValueError(f"expected {self.forms}; {error}") from error
        return parsed if isinstance(parsed, list) else [parsed]

    def read_table(self, index: int, table: object, base: str) -> dict[str, Any]:
        """One table with all its keys."""
        from penstock.errors import nearest  # noqa: PLC0415 (kinds need nothing else of ours)

        if not isinstance(table, Mapping):
            raise WrongTable(index, "", f"expected a table, with {self.names()}")
        for name in table:
            if all(name != key.name for key in self.keys):
                hint = nearest(str(name), [key.name for key in self.keys]) or f"the keys are {self.names()}"
                raise WrongTable(index, str(name), "there is no such key", hint)
        read = {}
        for key in self.keys:
            given = table.get(key.name, key.default)
            if given is None:
                raise WrongTable(index, "", f"{key.name} is missing")
            try:
                read[key.name] = key.kind.read(given, base)
            except ValueError as error:
                raise WrongTable(index, key.name, f"it cannot be {key.kind.quote(given)}: {error}") from error
        return read

    def names(self) -> str:
        return ", ".join(key.name for key in self.keys)

    def header(self, place: str) -> str:
        """What stands over each table in penstock.toml."""
        return f"[[{place}]]"

    def show(self, value: list[dict[str, Any]]) -> str:
        return "; ".join(self.show_table(table) for table in value)

    def show_table(self, table: dict[str, Any]) -> str:
        first, *others = self.keys
        chosen = [key for key in others if table[key.name] != key.kind.read(key.default, "/")]
        details = ", ".join(f"{key.name} {key.kind.show(table[key.name])}" for key in chosen)
        return f"{table[first.name]} ({details})" if details else str(table[first.name])

    def schema(self) -> dict[str, Any]:
        entries = {}
        for key in self.keys:
            entries[key.name] = key.kind.schema() | {"description": key.help}
            if key.default is not None:
                entries[key.name]["default"] = key.default
        required = [key.name for key in self.keys if key.default is None]
        item = {"type": "object", "additionalProperties": False, "required": required, "properties": entries}
        return {"type": "array", "items": item}


class Variables(Kind):
    """Environment variables: a TOML table, a repeated NAME=VALUE, or text with commas. Secret values stay secret."""

    forms = "NAME=VALUE; in TOML a table of text by name"
    metavar = "NAME=VALUE"
    repeatable = True
    name = r"[A-Za-z_][A-Za-z0-9_]*"

    def read(self, value: object, base: str) -> dict[str, str]:  # noqa: ARG002
        if isinstance(value, str):
            value = [pair for pair in value.split(",") if pair.strip()]
        if isinstance(value, Sequence):
            value = dict(self.pair(item) for item in value)
        if not isinstance(value, Mapping):
            raise ValueError(f"expected {self.forms}")
        for name, text in value.items():
            if not re.fullmatch(self.name, name):
                raise ValueError(f"{name!r} is not the name of a variable")
            if not isinstance(text, str) or "\0" in text:
                raise ValueError(f"the value of {name} must be text: write it in quotes")
        return dict(value)

    def pair(self, item: object) -> tuple[str, str]:
        name, equals, text = str(item).strip().partition("=")
        if not equals:
            raise ValueError(f"expected {self.forms}")
        return name, text

    def show(self, value: Mapping[str, str]) -> str:
        return ", ".join(f"{name}={text}" for name, text in self.disclose(value).items())

    def disclose(self, value: Mapping[str, str]) -> dict[str, str]:
        return {name: secrets.show(name, text) for name, text in value.items()}

    def quote(self, value: object) -> str:  # noqa: ARG002
        return secrets.MASK

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "propertyNames": {"pattern": f"^{self.name}$"},
        }


class Command(Kind):
    """A command line, quoted as for a shell."""

    forms = "a command line, quoted as for a shell"
    metavar = "COMMAND"

    def read(self, value: object, base: str) -> str:
        import shlex  # noqa: PLC0415 (few sites have commands)

        text: str = super().read(value, base).strip()
        if "\0" in text or not text:
            raise ValueError(f"expected {self.forms}")
        try:
            shlex.split(text)
        except ValueError as error:
            raise ValueError(f"expected {self.forms}: {str(error).lower()}") from error
        return text


class Commands(Listing):
    """Commands, one after the other; commas are part of them."""

    def __init__(self) -> None:
        super().__init__(Command())
        self.forms = "a command line, or a list of them"

    def read(self, value: object, base: str) -> list[str]:
        # From the command line "" comes in a list, and stands for nothing there too.
        return super().read([] if value == [""] else value, base)

    def split(self, value: object) -> list[str]:
        if not isinstance(value, str):
            raise ValueError(f"expected {self.forms}")
        return [value] if value.strip() else []

    def show(self, value: list[str]) -> str:
        return " && ".join(value)  # which a shell would take for the same


class Entries(Tables):
    """Tables by name; text alone is what `complete` makes of it."""

    def __init__(self, metavar: str, forms: str, *keys: Key) -> None:
        super().__init__(*keys)
        self.metavar, self.forms = metavar, forms

    def read(self, value: object, base: str) -> Any:
        entries = {}
        for index, (name, given) in enumerate(self.collect(value)):
            if name in entries:
                raise ValueError(f"{name!r} is there twice")
            try:
                entries[name] = self.read_table(index, self.complete(name, given), base)
            except WrongTable as error:
                reason = str(error).replace(f"table {index + 1}", repr(name), 1)
                raise ValueError(f"{reason}; {error.hint}" if error.hint else reason) from error
        return entries

    def collect(self, value: object) -> Iterable[tuple[str, Any]]:
        """The names, and what was given for each."""
        if isinstance(value, Mapping):
            return value.items()
        if isinstance(value, str):
            return (
                [pair for table in self.parse(value) for pair in self.collect(table)]
                if value[:1] == "{"
                else ([self.pair(value)] if value.strip() else [])
            )
        if not isinstance(value, Sequence):
            raise ValueError(f"expected {self.forms}")
        return [pair for item in value for pair in self.collect(item)]

    def pair(self, item: str) -> tuple[str, str]:
        name, equals, text = item.strip().partition("=")
        if not equals or not name.strip() or not text.strip():
            raise ValueError(f"expected {self.forms}")
        return name.strip(), text

    def complete(self, name: str, given: object) -> object:  # noqa: ARG002
        """The table that something shorter stands for."""
        return {"command": given} if isinstance(given, str) else given

    def header(self, place: str) -> str:
        return f"[{place}.NAME]"

    def show(self, value: Any) -> str:
        return ", ".join(f"{name}={table['command']}" for name, table in value.items())

    def disclose(self, value: Any) -> Any:
        return {
            name: {key.name: key.kind.disclose(table[key.name]) for key in self.keys} for name, table in value.items()
        }

    def quote(self, value: object) -> str:
        return ", ".join(map(repr, value)) if isinstance(value, Mapping) else super().quote(value)

    def schema(self) -> dict[str, Any]:
        table = super().schema()["items"]
        return {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, table]}}


class Processes(Entries):
    """Commands by name, or the path of a Procfile that has them."""

    name = r"[A-Za-z0-9_][A-Za-z0-9_-]*"

    def read(self, value: object, base: str) -> dict[str, dict[str, Any]] | str:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str) and value.strip() and not re.match(rf"\s*({self.name}\s*=|\{{)", value):
            return Path().read(value, base)
        entries: dict[str, dict[str, Any]] = super().read(value, base)
        for name in entries:
            if not re.fullmatch(self.name, name):
                raise ValueError(f"{name!r} is no name of letters, digits, - and _")
        return entries

    def show(self, value: Any) -> str:
        return value if isinstance(value, str) else super().show(value)

    def disclose(self, value: Any) -> Any:
        return value if isinstance(value, str) else super().disclose(value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [super().schema(), {"type": "string"}]}


class Schedule(Entries):
    """Commands by when they run, or by name."""

    def read(self, value: object, base: str) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = super().read(value, base)
        for name, entry in entries.items():
            self.check(name, entry["cron"])
        return entries

    def complete(self, name: str, given: object) -> object:
        return {"cron": name, "command": given} if isinstance(given, str) else given

    def check(self, name: str, expression: str) -> None:
        """Raises ValueError when a cron expression is none."""
        from datetime import UTC, datetime  # noqa: PLC0415 (few sites have a schedule)

        from cronsim import CronSim, CronSimError  # noqa: PLC0415

        try:
            CronSim(expression, datetime.now(UTC))
        except CronSimError as error:
            place = "" if name == expression else f"cron of {name!r}: "
            raise ValueError(
                f"{place}{expression!r} is no cron expression ({str(error).lower()}): "
                "minute, hour, day, month and weekday"
            ) from error


class TimeZone(Kind):
    """A time zone by its name."""

    forms = 'the name of a time zone, like "Europe/Berlin"'
    metavar = "ZONE"

    def read(self, value: object, base: str) -> str:
        text: str = super().read(value, base)
        if text:
            from zoneinfo import ZoneInfo  # noqa: PLC0415 (few sites have a schedule)

            try:
                ZoneInfo(text)
            except (OSError, KeyError, ValueError) as error:
                raise ValueError(f"expected {self.forms}; the system knows no {text!r}") from error
        return text
