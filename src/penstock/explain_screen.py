"""How `penstock explain` looks to a person at a terminal: what somebody chose stands out from the defaults."""

import shutil
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.settings import BY_NAME

VALUES = 24  # columns that values have at least where there is room; only a few are longer
ORIGINS = 16  # and origins, such as "penstock.toml:12"
Row = tuple[str, str, str, str]  # section or "", name, value, origin


def draw(rows: Sequence[Row], width: int = 0) -> str:
    """The text with its colours, `width` columns wide: as wide as the terminal when that is 0."""
    console = Console(force_terminal=True, width=width or shutil.get_terminal_size().columns)
    names = max(len(row[1]) for row in rows)
    has_room = console.width >= names + VALUES + ORIGINS + 6
    chosen = sum(section != "" and origin != "default" for section, _, _, origin in rows)
    with console.capture() as drawn:
        for heading, group in groupby(rows, heading_of):
            console.print(Text(heading, "bold"), grid(list(group), names, VALUES if has_room else None), "")
        console.print(f"{chosen} of {len(BY_NAME)} settings were chosen by somebody; the others are defaults.")
    return drawn.get()


def heading_of(row: Row) -> str:
    """What a row stands under: the heading that the reference has too, and the section of penstock.toml."""
    section, name, _, _ = row
    return f"{BY_NAME[name].group} [{section.strip('[]')}]" if section else "Application"


def grid(rows: Sequence[Row], names: int, values: int | None) -> Table:
    """The rows of one heading; `names` is the width of all names, so that the headings' columns are aligned.

    `values` is the least width of the second column.
    """
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(width=names + 2, no_wrap=True)
    shown.add_column(min_width=values, overflow="fold")
    shown.add_column(overflow="fold")
    for section, name, value, origin in rows:
        styles = ("", "", "") if not section else ("", "bold green", "cyan") if origin != "default" else ("dim",) * 3
        texts = (f"  {name}", value or "none", origin)
        shown.add_row(*(Text(text, style) for text, style in zip(texts, styles, strict=True)))
    return shown
