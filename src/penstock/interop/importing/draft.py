"""What an import has understood so far: settings, and a finding for each directive of the source. Plain data.

A value that the settings table does not take becomes a finding instead of a setting: the result can always be loaded.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from penstock import secrets
from penstock.config import DJANGO_ENV, read_default
from penstock.settings import BY_NAME

# What can become of a directive, in the order in which a person has to care.
OPEN = "guarded before and open now"
UNSUPPORTED = "not supported"
UNKNOWN = "unknown"
CHANGED = "changed in meaning"
CARRIED = "carried over"
UNNEEDED = "not needed any more"
VERDICTS = (OPEN, UNSUPPORTED, UNKNOWN, CHANGED, CARRIED, UNNEEDED)


class Place(NamedTuple):
    """Where a directive stands."""

    file: str
    line: int

    def __str__(self) -> str:
        """As compilers write it."""
        return f"{self.file}:{self.line}"


class Directive(NamedTuple):
    """One statement of the source, as a report shows it."""

    place: Place
    text: str


class Remark(NamedTuple):
    """What became of a directive that sets nothing."""

    verdict: str
    note: str


class Becomes(NamedTuple):
    """The setting that a directive sets."""

    setting: str
    adapt: Callable[[list[str]], Any] = lambda words: words[0]
    changed: str = ""


Meaning = TypeVar("Meaning", bound=Remark | Becomes)


def each(names: str, meaning: Meaning) -> dict[str, Meaning]:
    """Several words that mean the same."""
    return dict.fromkeys(names.split(), meaning)


@dataclass(frozen=True)
class Finding:
    """What became of a directive."""

    directive: Directive
    verdict: str
    note: str = ""


@dataclass
class Site:
    """One site: the settings that differ from the defaults, as settings.py reads them."""

    name: str
    hosts: list[str] = field(default_factory=list)
    path: str = "/"
    speaks_uwsgi: bool = False  # at each address, as Gunicorn has it
    settings: dict[str, Any] = field(default_factory=dict)


class Draft:
    """Collects. `variables` are those that the source may ask its environment for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.sites: list[Site] = []
        self.findings: list[Finding] = []
        self.notes: list[str] = []  # what no line of the source says
        self.setters: dict[tuple[str, str], int] = {}  # the finding that a setting came from

    def site(self, name: str) -> Site:
        """The site of that name; made when it is not there."""
        for site in self.sites:
            if site.name == name:
                return site
        self.sites.append(Site(name))
        return self.sites[-1]

    def find(self, directive: Directive, verdict: str, note: str = "") -> None:
        """Reports what became of a directive."""
        finding = Finding(conceal(directive), verdict, note)
        if finding not in self.findings:
            self.findings.append(finding)

    def note(self, text: str) -> None:
        """Tells what no line of the source says, once."""
        if text not in self.notes:
            self.notes.append(text)

    def set(
        self,
        site: Site,
        name: str,
        value: object,
        directive: Directive,
        *,
        base: str,
        changed: str = "",
        note: str = "",
    ) -> bool:
        """Takes a value over, and reports it; lists and tables are added to. `base`: what paths are relative to.

        `changed` says how the meaning differs. Returns False when the setting cannot have the value.
        """
        setting = BY_NAME[name]
        try:
            read = setting.kind.read(value, base)
            if name == "environment" and DJANGO_ENV in read:
                # A setting of its own: penstock.toml refuses it as a mere variable.
                site.settings["env"] = BY_NAME["env"].kind.read(read.pop(DJANGO_ENV), base)
        except ValueError as error:
            shown = setting.kind.quote(value)
            self.find(directive, UNSUPPORTED, f"{name} cannot be {shown}: {error}; the default is taken")
            return False
        before = site.settings.get(name)
        if isinstance(read, list) and before:
            read = [*before, *(item for item in read if item not in before)]
        elif isinstance(read, dict):
            read = {**(before or {}), **read}
        elif read != before:
            self.supersede(site, name, directive)
            self.setters[site.name, name] = len(self.findings)
        site.settings[name] = read
        said = f"{name} = {setting.kind.show(read)}" if not isinstance(read, dict | list) else name
        if read == read_default(setting):
            said += ", the default"
        self.find(directive, CHANGED if changed else CARRIED, "; ".join(filter(None, (said, changed, note))))
        return True

    def supersede(self, site: Site, name: str, directive: Directive) -> None:
        """What set the setting before has no effect any more."""
        earlier = self.setters.get((site.name, name))
        if earlier is not None:
            note = f"overridden by {directive.place}"
            self.findings[earlier] = replace(self.findings[earlier], verdict=UNNEEDED, note=note)

    def differences(self, site: Site) -> dict[str, Any]:
        """The settings of a site that are not what they would be anyway."""
        return {name: value for name, value in site.settings.items() if value != read_default(BY_NAME[name])}


# NAME=VALUE, NAME = VALUE, "NAME": VALUE, and SetEnv NAME VALUE.
# From the beginning of a word on, or a long one would be looked through from each of its letters.
SECRET_WORD = rf"(?<!\w)\w*(?:{secrets.SECRET_NAME})\w*"
SECRET = rf"(?i)({SECRET_WORD}['\"]?\s*[=:]\s*['\"]?|\b(?:SetEnv|ENV)\s+{SECRET_WORD}\s+).+"


class Into(NamedTuple):
    """Where values go: the site, and what its paths are relative to."""

    draft: Draft
    site: Site
    base: str

    def set(self, name: str, value: object, directive: Directive, changed: str = "") -> bool:
        """Takes a value over, and reports it."""
        return self.draft.set(self.site, name, value, directive, base=self.base, changed=changed)


def conceal(directive: Directive) -> Directive:
    """The directive without the values of secrets."""
    text = re.sub(secrets.PASSWORD_IN_URL, rf"\g<before>{secrets.MASK}\g<after>", directive.text)
    return Directive(directive.place, re.sub(SECRET, rf"\g<1>{secrets.MASK}", text))


def join(base: str, path: str) -> str:
    """A path of the source, absolute."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))
