"""What a Django project says about itself, read from its files. Runs none of its code."""

import ast
import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from penstock.config import DJANGO_ENV
from penstock.env_files import Variable

VARIABLE = "DJANGO_SETTINGS_MODULE"
INHERITED = f"{VARIABLE} in the environment"


class Choice(NamedTuple):
    """A settings module, and who names it."""

    module: str  # "" when nobody does
    origin: str
    is_default: bool = False  # of a manage.py or wsgi.py

    @property
    def package(self) -> str:
        """Its first part, by which projects are told apart."""
        return self.module.partition(".")[0]


def settings_choices(
    setting: Choice, real: Mapping[str, str], added: Mapping[str, Variable], sources: Mapping[str, str]
) -> list[Choice]:
    """Everybody who names a settings module, in the order of who is heard: the first one decides.

    `setting` is the setting `settings`, `real` are the variables that are really set, `added` those that the site gets
    over them. `sources` are the manage.py and wsgi.py to fall back to: path by what a person calls it.
    """
    variables = {**real, **{name: variable.value for name, variable in added.items()}}
    named = added.get(VARIABLE, Variable("", ""))
    choices = [
        setting,
        Choice(named.value, named.origin),
        Choice(real.get(VARIABLE, ""), INHERITED),
        *(default_choice(name, path, variables, added) for name, path in sources.items()),
    ]
    return [choice for choice in choices if choice.module]


def default_choice(name: str, path: str, variables: Mapping[str, str], added: Mapping[str, Variable]) -> Choice:
    """What a manage.py or wsgi.py falls back to; when DJANGO_ENV matters to it, who has set that is told too."""
    module = default_settings(path, variables) or ""
    without = {key: value for key, value in variables.items() if key != DJANGO_ENV}
    if DJANGO_ENV in added and default_settings(path, without) != module:
        name = f"{name}, by {added[DJANGO_ENV].origin}"
    return Choice(module, name, is_default=True)


def default_settings(path: str, variables: Mapping[str, str]) -> str | None:
    """The settings module that a manage.py or wsgi.py falls back to; None when it does not say so in plain words.

    Understood are `os.environ.setdefault("DJANGO_SETTINGS_MODULE", …)` and the same as an assignment, of text that may
    be put together from variables: f"shop.settings.{os.environ.get('DJANGO_ENV', 'development')}".
    """
    tree = read_source(path)
    if tree is None:
        return None
    names = dict(assignments(tree))
    for node in ast.walk(tree):
        match node:
            case (
                ast.Call(
                    func=ast.Attribute(attr="setdefault"), args=[ast.Constant(value="DJANGO_SETTINGS_MODULE"), value]
                )
                | ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value="DJANGO_SETTINGS_MODULE"))], value=value)
            ):
                if name := text_of(value, names, variables):
                    return name
    return None


def read_source(path: str) -> ast.Module | None:
    """The syntax tree of a file that mentions a settings module; None for all others."""
    try:
        with open(path, "rb") as file:
            source = file.read()
        return ast.parse(source) if VARIABLE.encode() in source else None
    except (OSError, SyntaxError, ValueError):
        return None


def assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names that are given a value, wherever that happens in the file."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def text_of(node: ast.expr, names: Mapping[str, ast.expr], variables: Mapping[str, str]) -> str | None:  # noqa: PLR0911 (forms)
    """What an expression of text and variables comes to; None when it is anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in names:
            others = {other: value for other, value in names.items() if other != name}
            return text_of(names[name], others, variables)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return text_of(value, names, variables)
        case ast.JoinedStr(values=values):
            return joined(text_of(value, names, variables) for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return joined(text_of(value, names, variables) for value in (left, right))
        case ast.BoolOp(op=ast.Or(), values=values):
            return next(filter(None, (text_of(value, names, variables) for value in values)), None)
        case ast.Subscript(
            value=ast.Attribute(attr="environ") | ast.Name(id="environ"), slice=ast.Constant(value=key)
        ):
            return variables.get(str(key))
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(attr="environ") | ast.Name(id="environ"), attr="get")
            | ast.Attribute(attr="getenv"),
            args=[ast.Constant(value=str(key)), *default],
        ):
            return variables.get(key, text_of(default[0], names, variables) if default else None)
    return None


def joined(parts: Iterable[str | None]) -> str | None:
    """The parts as one text; None when one is unknown."""
    known = list(parts)
    return None if None in known else "".join(filter(None, known))


def is_manage(path: str) -> bool:
    """Whether this manage.py is Django's; other frameworks have used the name too."""
    return mentions(path, "django")


def mentions(path: str, word: str) -> bool:
    """Whether a file has the word in it."""
    try:
        with open(path, "rb") as file:
            return word.encode() in file.read()
    except OSError:
        return False


def settings_files(directory: str, module: str) -> list[str]:
    """Where the settings module and its neighbours are, when they are in the project's directory."""
    path = os.path.join(directory, *module.split("."))
    return [f"{path}.py", *glob.glob(f"{path}/*.py"), *glob.glob(f"{os.path.dirname(path)}/*.py")] if module else []


def doubts(choices: list[Choice], directory: str) -> list[str]:
    """A sentence when the first choice may not be what the project in `directory` means."""
    defaults = [choice for choice in choices if choice.is_default]
    if not defaults:
        return []
    chosen = choices[0]
    own = next((choice for choice in defaults if is_here(directory, choice.package)), None)
    if own and chosen.origin == INHERITED and not is_here(directory, chosen.package):
        return [
            f"{INHERITED} names {chosen.module}, which does not belong to this project ({own.origin} names "
            f"{own.module}): unset {VARIABLE}, or choose with --settings"
        ]
    if not chosen.is_default:
        return []
    return [
        f"{chosen.origin} names {chosen.module}, but {other.origin} names {other.module}: the first one counts; "
        "choose with --settings"
        for other in defaults[1:2]
        if other.module != chosen.module and other.package == chosen.package
    ]


def is_here(directory: str, package: str) -> bool:
    """Whether a directory has a package or a module of this name."""
    path = os.path.join(directory, package)
    return os.path.isdir(path) or os.path.isfile(f"{path}.py")
