"""The files .env and .env.NAME: variables for those who do not set real ones. Refuses lines that are no NAME=value."""

import os
from typing import NamedTuple

from penstock.errors import ConfigurationError
from penstock.secrets import MASK, show


class Variable(NamedTuple):
    """A variable's value, who gave it, and whether `secrets` lists it."""

    value: str
    origin: str
    is_secret: bool = False

    def show(self, name: str) -> str:
        """The value as anybody may see it."""
        return MASK if self.is_secret else show(name, self.value)

    def __repr__(self) -> str:
        return f"Variable({MASK!r}, {self.origin!r})"


def read_env_files(directory: str, env: str) -> dict[str, Variable]:
    """The variables of .env, and of .env.NAME over it."""
    variables: dict[str, Variable] = {}
    for name in (".env", f".env.{env}") if env else (".env",):
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            variables.update(read_env_file(path, name))
    return variables


def read_variable(directory: str, name: str) -> Variable | None:
    """One variable of .env, which is only parsed when the name is in it somewhere."""
    path = os.path.join(directory, ".env")
    return read_env_file(path, ".env").get(name) if os.path.isfile(path) and name in read_text(path) else None


def read_env_file(path: str, origin: str) -> dict[str, Variable]:
    """The variables of one file. Raises ConfigurationError with the line that is no `NAME=value`."""
    from io import StringIO  # noqa: PLC0415

    from dotenv import dotenv_values  # noqa: PLC0415 (26 ms that a start without .env does not pay)
    from dotenv.parser import parse_stream  # noqa: PLC0415

    text = read_text(path)
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise ConfigurationError(f"{path}:{binding.original.line} is no line of the form NAME=value")
    values = dotenv_values(stream=StringIO(text))
    return {name: Variable(value, origin) for name, value in values.items() if value is not None}


def read_text(path: str) -> str:
    """What the file holds."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from error
