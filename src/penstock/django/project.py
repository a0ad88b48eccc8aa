"""What a Django project says about itself, read from its files. Runs none of its code."""

import ast
from collections.abc import Mapping

VARIABLE = "DJANGO_SETTINGS_MODULE"


def default_settings(path: str) -> str | None:
    """The settings module that a manage.py or wsgi.py falls back to; None when it does not say so in plain words.

    Understood are `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "…")` and the same as an assignment.
    """
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="setdefault"),
                args=[ast.Constant(value="DJANGO_SETTINGS_MODULE"), ast.Constant(value=str(name))],
            ):
                return name
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value="DJANGO_SETTINGS_MODULE"))],
                value=ast.Constant(value=str(name)),
            ):
                return name
    return None


def is_manage(path: str) -> bool:
    """Whether this manage.py is Django's; other frameworks have used the name too."""
    try:
        with open(path, "rb") as file:
            return b"django" in file.read()
    except OSError:
        return False


def choose_settings(
    flag: tuple[str, str], environment: Mapping[str, str], files: Mapping[str, tuple[str, str]], sources: list[str]
) -> tuple[str, str]:
    """The settings module and who chose it; ("", "") when nobody did.

    `flag` is the setting's value and origin, `files` what the .env files add (value and file name), `sources` the
    manage.py and wsgi.py to fall back to, in order.
    """
    if flag[0]:
        return flag
    if environment.get(VARIABLE):
        return environment[VARIABLE], f"{VARIABLE} in the environment"
    if VARIABLE in files:
        return files[VARIABLE]
    for path in sources:
        name = default_settings(path)
        if name:
            return name, path
    return "", ""
