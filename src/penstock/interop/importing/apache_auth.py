"""Who may see what below a <Directory> or <Location>: from AuthType, Require and their kin to one [[auth]] table.

Fails closed: a rule that cannot be said makes a table that lets nobody in, and a finding that says why.
"""

import re
from ipaddress import ip_network
from typing import Any, NamedTuple

from penstock.interop.importing.apache_syntax import Node
from penstock.interop.importing.draft import CARRIED, CHANGED, UNNEEDED, UNSUPPORTED, Directive, join

EVERYBODY = ["0.0.0.0/0", "::/0"]
COMBINATIONS = ("requireall", "requireany", "requirenone")
AUTH_DIRECTIVES = frozenset(COMBINATIONS) | {
    "authtype",
    "authname",
    "authbasicprovider",
    "authuserfile",
    "authgroupfile",
    "wsgiauthuserscript",
    "wsgiauthgroupscript",
    "require",
    "satisfy",
    "order",
    "allow",
    "deny",
    "authmerging",
    "authbasicauthoritative",
    "authzsendforbiddenonfailure",
    "sslrequiressl",
    "wsgiaccessscript",
    "limit",
    "limitexcept",
}
REMARKS = {
    "order": "deny wins over allow",
    "authmerging": "the longest path decides alone",
    "authbasicauthoritative": "the longest path decides alone",
    "authzsendforbiddenonfailure": "a right password that is not enough gets 403",
}
CLOSED = "closed until you say who may come in, in its [[auth]]"


class Guard(NamedTuple):
    """What became of the directives of a section, and the table without its path; none when all may come in."""

    findings: list[tuple[Directive, str, str]]
    table: dict[str, Any]


class Rules:
    """What has been read so far."""

    def __init__(self) -> None:
        self.findings: list[tuple[Directive, str, str]] = []
        self.users: list[str] = []
        self.groups: list[str] = []
        self.allow: list[str] = []
        self.deny: list[str] = []
        self.scripts: list[str] = []  # that look at each request
        self.people: set[tuple[str, int]] = set()  # the combinations in which users and groups stand
        self.networks: set[tuple[str, int]] = set()  # those in which addresses to let in stand
        self.all_around = 0  # how many RequireAll what is read stands in
        self.allow_comes_first = self.allows_all = False  # Order allow,deny, and Allow from all
        self.wants_user = self.is_open = self.is_closed = self.wants_all = self.denies_all = False
        self.wants_tls: Node | None = None

    def find(self, node: Node, verdict: str, note: str) -> None:
        """Reports."""
        self.findings.append((node.directive, verdict, note))

    def close(self, node: Node, reason: str) -> None:
        """A rule that cannot be said: nobody comes in."""
        self.is_closed = True
        self.find(node, UNSUPPORTED, f"{reason}; {CLOSED}")


def read_guard(section: Node, children: list[Node], root: str) -> Guard:
    """Reads the directives of a section. `root`: what their paths are relative to."""
    rules = Rules()
    said = {node.name: node for node in children if node.name.startswith(("auth", "wsgiauth"))}
    read_rules(rules, children, ("requireany", 0), root)
    if rules.scripts and (rules.allow or len(rules.scripts) > 1):
        rules.close(section, "a script and addresses cannot both be asked")
    if rules.wants_all and len(rules.networks) > 1:
        rules.close(section, "an address must be in each of several lists, and allow is one")
    if rules.allow_comes_first and (rules.denies_all or not (rules.allow or rules.allows_all)):
        rules.close(section, "with `Order allow,deny` nobody was let in")
    rules.allow += rules.scripts
    mixes = rules.allow and rules.wants_user and not rules.wants_all and not rules.is_open
    if mixes:
        rules.find(section, CHANGED, "an address of allow AND a user are wanted now; either was enough")
    table: dict[str, Any] = {}
    # `Deny from all` beside `Allow from` means: only these.
    if rules.is_closed or (rules.denies_all and not rules.allow):
        table = {"provider": "none", "deny": EVERYBODY}
    elif rules.wants_user and not rules.is_open:
        table = people_table(rules, said, root)
    elif rules.scripts or ((rules.allow or rules.deny) and not rules.is_open):
        table = {"provider": "none"}
    if rules.allow and table.get("deny") != EVERYBODY and table:
        table["allow"] = rules.allow
    if rules.deny and table.get("deny") != EVERYBODY and table:
        table["deny"] = rules.deny
    if rules.wants_tls:
        passwords = (CARRIED, "no password is taken over plain HTTP, unless over_http says so")
        pages = (UNSUPPORTED, "SECURE_SSL_REDIRECT, or a server in front, sends plain HTTP away")
        rules.find(rules.wants_tls, *(passwords if rules.wants_user else pages))
    for node in said.values():
        report_provider(rules, node, bool(rules.wants_user))
    return Guard(rules.findings, table)


def people_table(rules: Rules, said: dict[str, Node], root: str) -> dict[str, Any]:
    """The table of a section that asks for a user."""
    table: dict[str, Any] = {"provider": provider_of(rules, said, root)}
    if table["provider"] == "none":
        return table | {"deny": EVERYBODY}
    table |= {name: value for name, value in (("users", rules.users), ("groups", rules.groups)) if value}
    is_any = len(rules.people) == 1 and next(iter(rules.people))[0] == "requireany"
    if not is_any and (len(rules.groups) > 1 or (rules.users and rules.groups)):
        table["require"] = "all"
    if rules.wants_tls:
        table["over_http"] = False
    if "authname" in said:
        words = " ".join(said["authname"].arguments)
        table["realm"] = "".join(c for c in words if " " <= c <= "~" and c not in '"\\') or "Restricted"
    return table


def read_rules(rules: Rules, nodes: list[Node], combination: tuple[str, int], root: str) -> None:
    """Reads Require, and Order, Allow and Deny of Apache 2.2."""
    for node in nodes:
        if node.name in COMBINATIONS:
            rules.wants_all |= node.name == "requireall"
            if node.name == "requirenone":
                rules.close(node, "what must not be cannot be said here: deny has addresses only")
            else:
                rules.find(node, UNNEEDED, "what is in it is reported line by line")
            rules.all_around += node.name == "requireall"
            read_rules(rules, node.children or [], (node.name, node.place.line), root)
            rules.all_around -= node.name == "requireall"
        elif node.name in ("limit", "limitexcept"):
            rules.close(node, "rules for some methods only are not known")
            read_rules(rules, node.children or [], combination, root)
        elif node.name == "require":
            read_require(rules, node, combination)
        elif node.name in ("allow", "deny"):
            read_old(rules, node)
        elif node.name in REMARKS:
            rules.allow_comes_first |= "".join(node.arguments).lower() in ("allow,deny", "mutual-failure")
            rules.find(node, UNNEEDED, REMARKS[node.name])
        elif node.name == "satisfy":
            wants_any = node.arguments[:1] in (["any"], ["Any"])
            note = "both are wanted: an address of allow, and a user" if wants_any else "both are wanted anyway"
            rules.find(node, CHANGED if wants_any else UNNEEDED, note)
        elif node.name == "sslrequiressl":
            rules.wants_tls = node
        elif node.name == "wsgiaccessscript" and node.arguments:
            rules.scripts.append(join(root, node.arguments[0]))
            rules.find(node, CARRIED, "allow: its function allow_access is asked")


def read_require(rules: Rules, node: Node, combination: tuple[str, int]) -> None:
    """One Require."""
    kind, names = (node.arguments[0].lower() if node.arguments else ""), node.arguments[1:]
    if kind in ("user", "group", "wsgi-group"):
        rules.people.add(combination)
    if kind == "all" and names[:1] == ["granted"]:
        rules.is_open |= not rules.all_around
        rules.find(node, UNNEEDED, "everybody may come in unless something else says no")
    elif kind == "all" and names[:1] == ["denied"]:
        rules.deny += [network for network in EVERYBODY if network not in rules.deny]
        rules.find(node, CARRIED, "deny")
    elif kind == "valid-user":
        rules.wants_user = True
        rules.find(node, CARRIED, "every user whose password is right")
    elif kind == "user" and names:
        rules.wants_user = True
        rules.users += names
        rules.find(node, CARRIED, "users")
    elif kind in ("group", "wsgi-group") and names:
        rules.wants_user = True
        rules.groups += names
        rules.find(node, CARRIED, "groups")
    elif kind in ("ip", "local") and rules.allow and combination[0] == "requireall":
        rules.close(node, "an address must be in both of two lists, and allow is one")
    elif kind in ("ip", "local"):
        rules.networks.add(combination)
        read_addresses(rules, node, rules.allow, names if kind == "ip" else ["127.0.0.0/8", "::1"])
    elif kind == "not" and names[:1] == ["ip"]:
        read_addresses(rules, node, rules.deny, names[1:])
    else:
        rules.close(node, f"`{' '.join(node.arguments)}` is not known")


def read_addresses(rules: Rules, node: Node, into: list[str], addresses: list[str]) -> None:
    """Addresses and networks, also in Apache's short form."""
    try:
        networks = [network_of(address) for address in addresses]
    except ValueError as error:
        rules.close(node, f"this is no address: {error}")
        return
    into += [network for network in networks if network not in into]
    rules.find(node, CARRIED, "allow" if into is rules.allow else "deny")


def network_of(address: str) -> str:
    """An address or a network; 10.1 is 10.1.0.0/16. Raises ValueError."""
    parts = address.rstrip(".").split(".")
    if ":" not in address and "/" not in address and len(parts) < 4:
        return str(ip_network(f"{'.'.join([*parts, '0', '0', '0'][:4])}/{8 * len(parts)}"))
    return str(ip_network(address, strict=False))


def read_old(rules: Rules, node: Node) -> None:
    """`Allow from` and `Deny from`."""
    places = node.arguments[1:]
    if [place.lower() for place in places] == ["all"]:
        if node.name == "deny":
            rules.find(node, CHANGED, "deny: nobody, unless allow names addresses")
            rules.denies_all = True
        else:
            rules.allows_all = True
            rules.find(node, UNNEEDED, "everybody may come in unless something else says no")
    else:
        read_addresses(rules, node, rules.allow if node.name == "allow" else rules.deny, places)


def provider_of(rules: Rules, said: dict[str, Node], root: str) -> str:
    """Who knows the users; "none" when nobody does, so that the path is closed."""
    kind = said["authtype"].arguments[:1] if "authtype" in said else ["Basic"]
    words = said["authbasicprovider"].arguments if "authbasicprovider" in said else ["file"]
    if [one.lower() for one in kind] != ["basic"]:
        rules.close(said["authtype"], "only Basic is known")
    elif words == ["wsgi"] and "wsgiauthuserscript" in said and said["wsgiauthuserscript"].arguments:
        script = join(root, said["wsgiauthuserscript"].arguments[0])
        group = said.get("wsgiauthgroupscript")
        if group and group.arguments[:1] != said["wsgiauthuserscript"].arguments[:1]:
            rules.find(
                group, CHANGED, "groups_for_user is looked for in the script of WSGIAuthUserScript: put it there"
            )
        return "django" if is_djangos(script) else script
    elif words == ["file"] and "authuserfile" in said and said["authuserfile"].arguments:
        if rules.groups:
            rules.close(said["authuserfile"], "groups of a file are not known: name the users")
            return "none"
        return f"htpasswd:{join(root, said['authuserfile'].arguments[0])}"
    else:
        node = said.get("authbasicprovider") or next(iter(said.values()), None)
        if node:
            rules.close(node, f"who knows the users is not clear ({' '.join(words)})")
    return "none"


def is_djangos(script: str) -> bool:
    """Whether a script only hands over what Django itself has for mod_wsgi."""
    try:
        with open(script, encoding="utf-8", errors="replace") as file:
            names = re.findall(r"(?m)^from django\.contrib\.auth\.handlers\.modwsgi import (.*?)(?:#|$)", file.read())
    except OSError:
        return False
    return any("check_password" in name for name in names)


def report_provider(rules: Rules, node: Node, is_used: bool) -> None:
    """Reports one of the directives that say who knows the users."""
    if any(directive == node.directive for directive, _, _ in rules.findings):
        return
    if not is_used:
        rules.find(node, UNNEEDED, "nothing beside it asks for a user")
    elif node.name == "authgroupfile":
        rules.find(node, UNSUPPORTED, "groups of a file are not known: name the users, or keep them in Django")
    elif node.name in ("wsgiauthuserscript", "wsgiauthgroupscript"):
        note = 'the provider; `provider = "django"` knows Django\'s users and groups without a script'
        rules.find(node, CARRIED, note)
    else:
        rules.find(node, CARRIED, "in [[auth]]")
