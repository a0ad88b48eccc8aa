"""Those who know users: Django, an htpasswd file, or two functions as mod_wsgi calls them.

Django is imported here, and nowhere else in the gateway, when a rule asks for it. What a provider has said is
remembered for as long as a rule allows, under a digest that only this process can make; no password is kept.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.errors import AppNotFound, ConfigurationError, PenstockError
from penstock.gateway.scripts import load_object

# How mod_wsgi's documentation has them: None, or False, or True, or the name by which the user is to be known.
CheckPassword = Callable[[Mapping[str, Any], str, str], object]
GroupsForUser = Callable[[Mapping[str, Any], str], Any]

DJANGO = "django.contrib.auth.handlers.modwsgi"
# Passwords that are remembered: a busy site's users of one minute, for a few megabytes.
MOST_REMEMBERED = 10_000
# Checks of the same password wait for the first of them; others rarely meet, with eight threads and so many locks.
LOCKS = 64


class Account:
    """A user whose password was right."""

    __slots__ = ("checked", "groups", "user")

    def __init__(self, user: str, checked: float) -> None:
        self.user, self.checked = user, checked
        self.groups: frozenset[str] | None = None  # not asked for yet


class Provider(NamedTuple):
    """The two functions, and what they are called."""

    name: str
    check_password: CheckPassword
    groups_for_user: GroupsForUser | None


def load_provider(name: str, origin: str) -> Provider:
    """The provider that a rule names. Raises ConfigurationError, AppNotFound or AppFailed."""
    kind, _, path = name.partition(":")
    if kind == "htpasswd":
        from penstock.gateway.htpasswd import HtpasswdFile  # noqa: PLC0415 (only where it is asked for)

        return Provider(name, HtpasswdFile(path, origin).check_password, None)
    if name == "django":
        return load_django(origin)
    found = load_object(name, origin)
    functions = [getattr(found, function, None) for function in ("check_password", "groups_for_user")]
    if not callable(functions[0]):
        raise AppNotFound(f"{origin}: {name} has no function check_password(environ, user, password)")
    return Provider(name, functions[0], functions[1])


def load_django(origin: str) -> Provider:
    """The users of the Django project that is served."""
    try:
        handler = load_object(DJANGO, origin)
    except PenstockError as error:
        raise ConfigurationError(
            f"{origin}: the provider django needs a Django project with django.contrib.auth",
            'choose another with provider = "htpasswd:FILE", or a module with check_password and groups_for_user',
            error.message.removeprefix(f"{origin}: "),
        ) from error
    check = handler.check_password if does_constant_work() else with_constant_work(handler)
    return Provider("django", check, handler.groups_for_user)


def does_constant_work() -> bool:
    """Whether this Django hashes a password for users who do not exist, so that the time does not tell them apart."""
    from django import VERSION  # noqa: PLC0415

    version: tuple[Any, ...] = VERSION
    return version >= (6, 0, 2) or (5, 2, 11) <= version < (6, 0)


def with_constant_work(handler: Any) -> CheckPassword:
    """The check of an older Django, with a hash for those who do not exist."""

    def check_password(environ: Mapping[str, Any], user: str, password: str) -> object:
        answer = handler.check_password(environ, user, password)
        if answer is None:
            handler.UserModel().set_password(password)
        return answer

    return check_password


class Accounts:
    """What a provider has said lately."""

    def __init__(self, provider: Provider, clock: Callable[[], float] = time.monotonic) -> None:
        self.provider, self.clock = provider, clock
        self.remembered: dict[bytes, Account] = {}
        self.locks = [threading.Lock() for _ in range(LOCKS)]
        self.making_room = threading.Lock()
        self.key = b""

    def digest(self, user: str, password: str) -> bytes:
        """What stands for the two of them. The key is made after the fork: each worker has its own."""
        if not self.key:
            with self.making_room:  # two first requests at once have one key
                self.key = self.key or os.urandom(32)
        return hashlib.blake2b(f"{len(user)}:{user}{password}".encode(), key=self.key, digest_size=32).digest()

    def recall(self, digest: bytes, cache: float) -> Account | None:
        """Who showed this user name and password in the last `cache` seconds."""
        account = self.remembered.get(digest)
        return account if account and self.clock() < account.checked + cache else None

    def ask(self, environ: Mapping[str, Any], digest: bytes, user: str, password: str, cache: float) -> Account | None:
        """Has the provider check a password, unless another thread has just done so. None when it is wrong."""
        with self.locks[digest[0] % LOCKS]:
            if account := self.recall(digest, cache):
                return account
            answer = self.provider.check_password(dict(environ), user, password)
            if answer is None or answer is False:
                self.remembered.pop(digest, None)
                return None
            if answer is not True and not isinstance(answer, str):
                raise TypeError(
                    f"check_password of {self.provider.name} must return True, False, None or a name, "
                    f"not a {type(answer).__name__}"
                )
            account = Account(user if answer is True else str(answer), self.clock())
            if cache:
                self.remember(digest, account)
            return account

    def remember(self, digest: bytes, account: Account) -> None:
        """Keeps it; the one that came first makes room."""
        with self.making_room:
            self.remembered.pop(digest, None)
            if len(self.remembered) >= MOST_REMEMBERED:
                del self.remembered[next(iter(self.remembered))]
            self.remembered[digest] = account

    def groups(self, environ: Mapping[str, Any], account: Account) -> frozenset[str]:
        """The groups of a user, asked for once for each account; mod_wsgi's functions name them in bytes."""
        if account.groups is None:
            assert self.provider.groups_for_user, "a rule with groups has a provider that knows groups"
            found = self.provider.groups_for_user(dict(environ), account.user) or ()
            account.groups = frozenset(name.decode() if isinstance(name, bytes) else str(name) for name in found)
        return account.groups
