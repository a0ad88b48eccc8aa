"""The screen of `penstock top`: two tables, drawn anew each second. Needs textual; every text in it is top.py's."""

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static

from penstock.admin.top import THREAD_COLUMNS, WORKER_COLUMNS, Page, Row
from penstock.errors import PenstockError

INTERVAL = 1.0  # seconds


class Screen(App[PenstockError | None]):
    """Shows a page after the other."""

    TITLE = "penstock top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #headline { padding: 0 1; background: $panel; }
    #workers { height: auto; max-height: 60%; margin-top: 1; }
    #threads { height: 1fr; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("space", "pause", "Pause"),
    ]

    def __init__(self, pages: Iterator[Page], interval: float = INTERVAL) -> None:
        super().__init__()
        self.pages, self.interval = pages, interval
        self.is_paused = False

    def compose(self) -> ComposeResult:
        """The headline, the workers, the threads."""
        yield Static(id="headline", markup=False)
        yield DataTable[Text](id="workers", cursor_type="none", zebra_stripes=True)
        yield DataTable[Text](id="threads", cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Begins."""
        self.workers_table.add_columns(*WORKER_COLUMNS)
        self.threads_table.add_columns(*THREAD_COLUMNS)
        self.threads_table.focus()
        self.draw_pages()

    @property
    def workers_table(self) -> DataTable[Text]:
        """The upper one."""
        return self.query_one("#workers", DataTable)

    @property
    def threads_table(self) -> DataTable[Text]:
        """The lower one."""
        return self.query_one("#threads", DataTable)

    def action_pause(self) -> None:
        """Keeps the page that is shown, or goes on."""
        self.is_paused = not self.is_paused

    @work
    async def draw_pages(self) -> None:
        """Draws one page after the other. Asking for one is done beside the screen, which stays quick."""
        try:
            while page := await asyncio.to_thread(next, self.pages, None):
                if not self.is_paused:
                    self.draw(page)
                await asyncio.sleep(self.interval)
        except PenstockError as error:
            self.exit(error)

    def draw(self, page: Page) -> None:
        """Puts a page onto the screen."""
        self.query_one("#headline", Static).update(page.headline)
        fill(self.workers_table, page.workers)
        fill(self.threads_table, page.threads)

    def show(self) -> int:
        """Runs until somebody leaves. Raises the PenstockError that ended it."""
        error: Any = self.run()
        if isinstance(error, PenstockError):
            raise error
        return 0


def fill(table: DataTable[Text], rows: list[Row]) -> None:
    """Replaces the rows, and stays where the person is. A path is text: what looks like markup in it is none."""
    place = table.scroll_offset
    table.clear()
    table.add_rows([Text(cell) for cell in row] for row in rows)
    table.scroll_to(place.x, place.y, animate=False)
