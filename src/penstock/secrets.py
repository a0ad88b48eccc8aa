"""Secrets: read from the files that systemd, Docker and Kubernetes provide; kept out of all that Penstock shows.

A file is only read for a name that the setting `secrets` lists: SSL_CERT_FILE holds no secret of the name SSL_CERT.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping

from penstock.errors import ConfigurationError

MASK = "••••"
# Text, to be compiled when there is a variable to look at: a start without one does not pay a millisecond for it.
SECRET_NAME = r"SECRET|PASS|_PWD|TOKEN|KEY|CREDENTIAL|PRIVATE|DSN"
PASSWORD_IN_URL = r"(?P<before>\w://[^/?#\s:@]*:)(?P<password>[^/?#\s]+)(?P<after>@)"
# 64 KiB: a private key has four. A variable of 128 KiB would be too long for the programs that the site starts.
LARGEST = 64 * 1024
# Shorter ones are left in the log: they would be found in half of its words.
SHORTEST_TO_CONCEAL = 6


def show(name: str, value: str) -> str:
    """The value of a variable as anybody may see it: masked when its name sounds secret, or the password in a URL."""
    if re.search(SECRET_NAME, name.upper()) and not name.upper().endswith("_FILE"):
        return MASK
    return re.sub(PASSWORD_IN_URL, rf"\g<before>{MASK}\g<after>", value)


def find_secret(name: str, given: Mapping[str, str], directory: str) -> tuple[str, str] | None:
    """The secret's value and origin; None when nobody has given it. Relative paths refer to `directory`.

    `given` are the variables that are set. Raises ConfigurationError when it is given twice, or a file cannot be read.
    """
    sources = {}  # the path by what a person calls the source; "" for no file
    if given.get(name):
        sources[f"the variable {name}"] = ""
    if file := given.get(f"{name}_FILE"):
        sources[f"{name}_FILE"] = os.path.join(directory, file)
    credential = os.path.join(given.get("CREDENTIALS_DIRECTORY", ""), name)
    if given.get("CREDENTIALS_DIRECTORY") and os.path.lexists(credential):
        sources["a systemd credential"] = credential
    if len(sources) > 1:
        raise ConfigurationError(
            f"the secret {name} is given more than once: by {' and by '.join(sources)}",
            "take one of them away, so that it is clear which one counts",
        )
    if not sources:
        return None
    [(source, path)] = sources.items()
    return (read_secret(name, source, path), f"{source} ({path})") if path else (given[name], source)


def read_secret(name: str, source: str, path: str) -> str:
    """The text of a secret file without the newline at its end."""

    def refuse(reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"the secret {name} cannot be read from {path} ({source}): {reason}",
            f"it must be a file with the secret as text, which user {os.geteuid()} may read",
        )

    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise refuse("it is not a file")
            data = file.read(LARGEST + 1)
        value = data.decode().rstrip("\r\n")
    except OSError as error:
        raise refuse(f"{error.strerror}") from error
    except UnicodeDecodeError as error:
        raise refuse("it is not UTF-8") from error
    if not value:
        raise refuse("it is empty")
    if len(data) > LARGEST:
        raise refuse(f"it is larger than {LARGEST // 1024} KiB")
    if "\0" in value:
        raise refuse("it has a zero byte, which no variable can hold")
    return value


def open_without_waiting(path: str, flags: int) -> int:
    """For `open`: a pipe without a writer is refused, and not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


class Concealed:
    """The values that this process never writes, once they are known."""

    def __init__(self) -> None:
        self.parts: set[str] = set()
        self.pattern: re.Pattern[str] | None = None

    def add(self, variables: Iterable[tuple[str, str, bool]]) -> None:
        """Conceals the values of (name, value, whether it is listed as secret), as far as they are secret."""
        for name, value, is_listed in variables:
            if is_listed or show(name, value) == MASK:
                # A traceback shows a key of several lines as one, or line by line.
                self.parts.update(value.splitlines())
            self.parts.update(match["password"] for match in re.finditer(PASSWORD_IN_URL, value))
        longest_first = sorted(
            (part for part in self.parts if len(part) >= SHORTEST_TO_CONCEAL), key=len, reverse=True
        )
        self.pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def mask(self, text: str) -> str:
        """The text without them."""
        return self.pattern.sub(MASK, text) if self.pattern else text


concealed = Concealed()
