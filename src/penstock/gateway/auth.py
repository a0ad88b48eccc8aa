"""Guards paths: by address, and by a user name and a password (HTTP Basic, RFC 7617). WSGI in, WSGI out.

Takes no password over plain HTTP unless a rule says so. The paths that compose.py calls guarded reach this layer also
when a file lies there: the engine leaves them alone, and sends the file when it is told to (`penstock.serve_file`).
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from penstock import log
from penstock.app import Application
from penstock.config import Config
from penstock.errors import ConfigurationError
from penstock.gateway.access import Access, address_of
from penstock.gateway.providers import Account, Accounts, load_provider
from penstock.gateway.throttle import WINDOW, Throttle

# Bytes of user name and password together. No person's are longer, and some hashes take time by the square of it.
LONGEST_CREDENTIALS = 1024

CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Environ = dict[str, Any]


class Refusal(NamedTuple):
    """An answer that is not the application's."""

    status: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()


FORBIDDEN = Refusal("403 Forbidden", "You may not come in from where you are.")
NOT_ALLOWED = Refusal("403 Forbidden", "Your password is right, and this page is not for you.")
NEEDS_HTTPS = Refusal("403 Forbidden", "This page asks for a password, which it takes only over HTTPS.")


def guard(application: Application, config: Config) -> Application:
    """The application behind its guard. Raises ConfigurationError, AppNotFound or AppFailed."""
    throttle = Throttle()
    accounts: dict[str, Accounts] = {}
    rules = []
    for table in config.auth:
        name, origin = table["provider"], f"auth {table['path']} ({config.origin('auth')})"
        if name != "none" and name not in accounts:
            accounts[name] = Accounts(load_provider(name, origin))
        rules.append(Rule(table, accounts.get(name), throttle, origin))
    origins = {config.origin(name) for name in ("allow", "deny") if config.values[name].value}
    return Guard(application, Access(config.allow, config.deny, f"allow and deny ({', '.join(origins)})"), rules)


class Guard:
    """The layer: the rules for the whole site, then the one for the path."""

    def __init__(self, application: Application, access: Access, rules: "Sequence[Rule]") -> None:
        self.application, self.access = application, access
        self.rules = sorted(rules, key=lambda rule: len(rule.names), reverse=True)

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        """A WSGI application."""
        if not self.access.admits(environ):
            return refuse(FORBIDDEN, start_response)
        account = None
        for rule in self.rules_of(environ):
            answer = rule.judge(environ)
            if isinstance(answer, Refusal):
                return refuse(answer, start_response)
            account = answer or account
        if account:
            environ["REMOTE_USER"], environ["AUTH_TYPE"] = account.user, "Basic"
            # The password has done its work: the application need not see it, or hash it again.
            environ.pop("HTTP_AUTHORIZATION", None)
            # Some applications read this; only a client can have sent it.
            environ.pop("HTTP_REMOTE_USER", None)
        serve_file = environ.get("penstock.serve_file")
        if serve_file and serve_file():
            return []
        return self.application(environ, start_response)

    def rules_of(self, environ: Environ) -> "list[Rule]":
        """The rules for a request. Below a web server's SCRIPT_NAME they may mean the path with it or without it."""
        script_name, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        rules = self.rules_for(path)
        if script_name:
            rules += [rule for rule in self.rules_for(script_name + path) if rule not in rules]
        return rules

    def rules_for(self, path: str) -> "list[Rule]":
        """The rule for a path; two when dots in it lead an application elsewhere than they lead a file server."""
        names = names_of(path)
        found = [self.rule_for(names)]
        if "." in names or ".." in names:
            found.append(self.rule_for(without_dots(names)))
        return [rule for rule in found if rule]

    def rule_for(self, names: list[str]) -> "Rule | None":
        """The rule with the longest path that these names begin with."""
        return next((rule for rule in self.rules if names[: len(rule.names)] == rule.names), None)


class Rule:
    """One [[site.auth]]."""

    def __init__(self, table: Mapping[str, Any], accounts: Accounts | None, throttle: Throttle, origin: str) -> None:
        """`accounts` is None when addresses alone decide. ConfigurationError when the keys contradict each other."""
        self.path, self.cache, self.over_http = table["path"], table["cache"], table["over_http"]
        self.users, self.groups = frozenset(table["users"]), frozenset(table["groups"])
        self.is_enough = any if table["require"] == "any" else all
        self.accounts, self.throttle = accounts, throttle
        self.access = Access(table["allow"], table["deny"], origin)
        # As PEP 3333 has the path of a request: each character a byte.
        self.names = names_of(self.path.encode().decode("latin-1"))
        challenge = (("WWW-Authenticate", f'Basic realm="{table["realm"]}", charset="UTF-8"'),)
        self.unauthorized = Refusal("401 Unauthorized", "This page asks for a user name and a password.", challenge)
        self.has_told_of_http = False
        if not accounts and (self.users or self.groups):
            raise ConfigurationError(f"{origin} has users or groups, and provider = none, which knows nobody")
        if accounts and self.groups and not callable(accounts.provider.groups_for_user):
            raise ConfigurationError(
                f"{origin} has groups, and {accounts.provider.name} knows none",
                "name the users, or take a provider with groups_for_user(environ, user)",
            )

    def judge(self, environ: Environ) -> Account | Refusal | None:
        """Who asks, as far as this rule wants to know; or why they get nothing."""
        if not self.access.admits(environ):
            return FORBIDDEN
        if not self.accounts:
            return None
        if not (self.over_http or is_confidential(environ)):
            self.tell_of_http()
            return NEEDS_HTTPS
        credentials = read_credentials(environ.get("HTTP_AUTHORIZATION", ""))
        if not credentials:
            return self.unauthorized
        account = self.authenticate(self.accounts, environ, *credentials)
        return NOT_ALLOWED if isinstance(account, Account) and not self.allows(environ, account) else account

    def authenticate(self, accounts: Accounts, environ: Environ, user: str, password: str) -> Account | Refusal:
        """The account of a user whose password is right."""
        address = environ.get("REMOTE_ADDR", "")
        if seconds := self.throttle.wait(address):
            text = "Too many wrong passwords came from where you are. Try again later."
            return Refusal("429 Too Many Requests", text, (("Retry-After", str(seconds)),))
        digest = accounts.digest(user, password)
        account = accounts.recall(digest, self.cache)
        if account:
            return account
        if self.throttle.knows(address, digest):
            return self.unauthorized
        account = accounts.ask(environ, digest, user, password, self.cache)
        if account:
            return account
        if self.throttle.count(address, digest):
            log.warning(f"{address or 'unix'} has tried too many passwords below {self.path}: none for {WINDOW} s")
        return self.unauthorized

    def allows(self, environ: Environ, account: Account) -> bool:
        """Whether a user is one of those whom the rule means."""
        wanted = [account.user in self.users] if self.users else []
        if self.groups and self.accounts:
            groups = self.accounts.groups(environ, account)
            wanted += [group in groups for group in self.groups]
        return not wanted or self.is_enough(wanted)

    def tell_of_http(self) -> None:
        """Says once why nobody gets in."""
        if not self.has_told_of_http:
            self.has_told_of_http = True
            log.warning(
                f"a request below {self.path} came over plain HTTP, where no password is taken: have the proxy say "
                "X-Forwarded-Proto, or set over_http"
            )


def refuse(refusal: Refusal, start_response: Any) -> list[bytes]:
    """Answers in the application's place."""
    body = f"{refusal.status}\n\n{refusal.text}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *refusal.headers,
    ]
    start_response(refusal.status, headers)
    return [body]


def is_confidential(environ: Mapping[str, Any]) -> bool:
    """Whether nobody on the way can read what the client sends: over TLS, or from this very machine."""
    if environ.get("wsgi.url_scheme") == "https":
        return True
    address = address_of(environ.get("REMOTE_ADDR", ""))
    return address is not None and address.is_loopback


def read_credentials(field: str) -> tuple[str, str] | None:
    """User name and password of an Authorization field; None when there are none, or none that could be right."""
    scheme, _, encoded = field.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = binascii.a2b_base64(encoded.strip(), strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # Clients that have not heard of charset="UTF-8".
        text = raw.decode("latin-1")
    user, colon, password = text.partition(":")
    # RFC 7617 2: neither of them holds control characters.
    if not colon or len(raw) > LONGEST_CREDENTIALS or CONTROL.search(text):
        return None
    return user, password


def names_of(path: str) -> list[str]:
    """The names in a path; a doubled slash leads nowhere else."""
    return [name for name in path.split("/") if name]


def without_dots(names: list[str]) -> list[str]:
    """Where `.` and `..` lead (RFC 3986 5.2.4)."""
    found: list[str] = []
    for name in names:
        if name == "..":
            del found[-1:]
        elif name != ".":
            found.append(name)
    return found
