"""Which requests belong to which site, as rules for the front. Pure; refuses sites that claim the same place."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from penstock.config import Config
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock._native import SiteRule


class Rule(NamedTuple):
    """A host, or "" for every host that no rule names, and a path with all below it belong to a site."""

    host: str
    path: str
    site: str


def rules_of(name: str, config: Config) -> list[Rule]:
    """What one site claims. ConfigurationError when that is nothing."""
    hosts = [*config.hosts, *([""] if config.default else [])]
    if not hosts:
        raise ConfigurationError(
            f"the site {name} says neither hosts nor default, so no request would reach it",
            f'hosts = ["{name}.example"], or default = true',
        )
    return [Rule(host, config.path, name) for host in dict.fromkeys(hosts)]


def rules_for(sites: Mapping[str, Config]) -> list[Rule]:
    """What all sites claim. ConfigurationError names two that claim the same."""
    rules: dict[tuple[str, str], Rule] = {}
    for name, config in sites.items():
        for rule in rules_of(name, config):
            place = rule.host, rule.path
            if place in rules:
                raise clash(rules[place], rule, sites)
            rules[place] = rule
    return list(rules.values())


def clash(first: Rule, second: Rule, sites: Mapping[str, Config]) -> ConfigurationError:
    """The error for two sites that claim the same place."""
    setting = "hosts" if first.host else "default"
    where = [f"{rule.site} ({sites[rule.site].origin(setting)})" for rule in (first, second)]
    host = first.host or "every other host"
    return ConfigurationError(
        f"the sites {where[0]} and {where[1]} both claim {host}{first.path if first.path != '/' else ''}",
        "give one of them another host or another path",
    )


def owner_of(rules: list[Rule], host: str, path: str) -> str:
    """The site that has the requests of a host below a path; "" when none has."""
    fitting = [
        rule for rule in rules if covers(rule.host, host) and f"{path}/".startswith(f"{rule.path.rstrip('/')}/")
    ]
    # A whole name wins over *.NAME, that over every other host; then the longest name and the longest path.
    best = max(
        fitting, key=lambda rule: (bool(rule.host), "*" not in rule.host, len(rule.host), len(rule.path)), default=None
    )
    return best.site if best else ""


def covers(pattern: str, host: str) -> bool:
    """Whether a rule's host means another one, or all of what that means."""
    return pattern in ("", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]) and host != pattern[1:])


def losers(before: list[Rule], after: list[Rule]) -> list[str]:
    """The sites whose requests are another site's now: they do not know that of kept connections yet."""
    added = [rule for rule in after if rule not in before]
    lost = {owner_of(before, rule.host, rule.path) for rule in added} - {""}
    return sorted(lost - {rule.site for rule in added})


def table_of(rules: list[Rule], numbers: Mapping[str, int]) -> "list[SiteRule]":
    """The rules as the front and the engines read them, with the sites' numbers."""
    return [{"hosts": [rule.host], "path": rule.path, "site": numbers[rule.site]} for rule in rules]
