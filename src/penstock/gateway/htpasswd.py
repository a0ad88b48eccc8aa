"""Users from a file as Apache's htpasswd writes it. Refuses passwords that are plain, unsalted or cut to 8 letters.

A changed file is read with the next password that is checked. Knows no groups.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from penstock import log
from penstock.errors import ConfigurationError

Check = Callable[[str, str], bool]

BCRYPT = ("$2y$", "$2b$", "$2a$")
KINDS = "bcrypt (htpasswd -B), SHA-512 (htpasswd -5), SHA-256 (htpasswd -2) and MD5 (htpasswd -m)"


def check_bcrypt(password: str, hash: str) -> bool:
    """Blowfish; it has never looked at more than 72 bytes, and newer libraries refuse to."""
    import bcrypt  # noqa: PLC0415 (optional, as the others)

    return bcrypt.checkpw(password.encode()[:72], hash.encode())


def check_sha512(password: str, hash: str) -> bool:
    """SHA-512 in thousands of rounds."""
    from passlib.hash import sha512_crypt  # noqa: PLC0415

    return bool(sha512_crypt.verify(password, hash))


def check_sha256(password: str, hash: str) -> bool:
    """SHA-256 in thousands of rounds."""
    from passlib.hash import sha256_crypt  # noqa: PLC0415

    return bool(sha256_crypt.verify(password, hash))


def check_md5(password: str, hash: str) -> bool:
    """Apache's own MD5 in a thousand rounds: salted, and quick to guess for those who have stolen the file."""
    from passlib.hash import apr_md5_crypt  # noqa: PLC0415

    return bool(apr_md5_crypt.verify(password, hash))


CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(BCRYPT, check_bcrypt),
    "$6$": check_sha512,
    "$5$": check_sha256,
    "$apr1$": check_md5,
}


class HtpasswdFile:
    """A provider: `check_password` as mod_wsgi has it."""

    def __init__(self, path: str, origin: str) -> None:
        """Reads the file. ConfigurationError names the line that cannot be used, and what to do."""
        self.path = path
        try:
            self.version = self.look()
            self.users = dict(self.read())
        except ConfigurationError as error:
            raise ConfigurationError(f"{origin}: {error.message}", error.hint) from error
        for library in {"bcrypt" if hash.startswith(BCRYPT) else "passlib" for hash in self.users.values()}:
            if not find_spec(library):
                raise ConfigurationError(
                    f"{origin}: {library} is not installed, which checks the passwords in {path}",
                    "pip install 'penstock[htpasswd]'",
                )

    def check_password(self, _environ: Mapping[str, Any], user: str, password: str) -> bool | None:
        """Whether the password is right; None for a user who is not in the file, after the same work."""
        self.renew()
        hash = self.users.get(user)
        if hash is not None:
            return self.check(password, hash)
        for other in self.users.values():
            self.check(password, other)
            break
        return None

    def check(self, password: str, hash: str) -> bool:
        """Whether a hash is that of the password; one that is damaged is nobody's."""
        try:
            return check_of(hash)(password, hash)
        except ValueError:
            return False

    def renew(self) -> None:
        """Reads the file anew when it has changed. A file that cannot be used any more changes nothing."""
        try:
            version = self.look()
            if version != self.version:
                self.version = version
                self.users = dict(self.read())
        except ConfigurationError as error:
            log.warning(f"{error.message}; the users that were in the file before are kept")

    def look(self) -> tuple[int, int, int]:
        """What changes with the file."""
        try:
            stat = os.stat(self.path)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error.strerror}") from error
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def read(self) -> Iterator[tuple[str, str]]:
        """Each user with their hash."""
        try:
            with open(self.path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{self.path} is not UTF-8") from error
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            user, colon, hash = line.strip().partition(":")
            if not colon or not user:
                raise ConfigurationError(f"{self.path}:{number} is not user:hash")
            if not hash.startswith(tuple(CHECKS)):
                raise ConfigurationError(
                    f"{self.path}:{number}: the password of {user} is kept {weakness(hash)}, which is not taken",
                    f"set it anew with `htpasswd -B {self.path} {user}`; taken are {KINDS}",
                )
            yield user, hash


def check_of(hash: str) -> Check:
    """What checks a hash of this kind."""
    return next(check for prefix, check in CHECKS.items() if hash.startswith(prefix))


def weakness(hash: str) -> str:
    """How a password is kept that we do not take."""
    if hash.startswith("{SHA}"):
        return "as SHA-1 without salt"
    if hash.startswith("$"):
        return f"in a way that is not known (${hash.split('$')[1]}$)"
    return "in the old way of crypt, or as plain text"
