"""Imports the arguments of `penstock serve` in a Procfile, a unit or a Dockerfile: its own flags become keys.

Gunicorn's flags are understood too, as by the command itself. What a penstock.toml in that place says still holds.
"""

import os
from collections.abc import Collection, Sequence

from penstock.errors import UsageError, nearest
from penstock.interop.importing.draft import UNKNOWN, UNNEEDED, UNSUPPORTED, Directive, Into
from penstock.interop.importing.gunicorn import FOREIGN, OFF, OWN, read_words
from penstock.kinds import Flag

# What no setting says.
OTHERS = {
    "--config": "start from that file instead: what it says is not repeated here",
    "--site": "one of several sites becomes the only one here: copy its keys from [sites.NAME] to [site]",
}


def import_words(words: Sequence[str], directive: Directive, into: Into, sockets: Collection[str]) -> None:
    """Imports what follows `penstock serve`; `sockets` are the names of those whose unit is imported with it."""
    for flag, value, text in read_words(words):
        said = Directive(directive.place, text)
        setting = OWN.get(flag)
        if flag in OFF:
            into.set(OFF[flag].name, False, said)
        elif flag == "--bind" and value.removeprefix("fd://") in sockets:
            into.draft.find(said, UNNEEDED, "bind has the addresses of the socket's unit")
        elif flag == "--preload":
            into.set("preload", value or "auto", said)
        elif setting and isinstance(setting.kind, Flag):
            into.set(setting.name, True, said)
        elif setting:
            into.set(setting.name, [value] if setting.kind.repeatable else value, said)
        elif flag in OTHERS:
            into.draft.find(said, UNSUPPORTED, OTHERS[flag])
        elif flag in FOREIGN:
            import_foreign(flag, value, said, into)
        else:
            into.draft.find(said, UNKNOWN, "; ".join(filter(None, ("there is no such flag", nearest(flag, OWN)))))
    file = os.path.join(into.base, "penstock.toml")
    if os.path.isfile(file):
        into.draft.note(f"What {os.path.relpath(file)} says holds beside these arguments, and is not repeated here.")


def import_foreign(flag: str, value: str, said: Directive, into: Into) -> None:
    """One of Gunicorn's flags."""
    try:
        outcome = FOREIGN[flag].outcome(value)
    except UsageError as refused:
        into.draft.find(said, UNSUPPORTED, refused.hint)
        return
    if outcome.note:
        into.draft.find(said, UNNEEDED, outcome.note)
    for name, given in outcome.settings.items():
        into.set(name, given, said)
