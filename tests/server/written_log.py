"""What a process writes, read line by line while it runs: so a test waits for a line, and never sleeps."""

import queue
import re
import threading
from collections.abc import Iterable

# Seconds after which a line that does not come fails the test instead of hanging it.
PATIENCE = 60


class WrittenLog:
    """The lines of one process; a thread reads them, so that the process never waits for the test."""

    def __init__(self, stream: Iterable[str]) -> None:
        self.stream = stream
        self.written: list[str] = []
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # that nobody has asked for; "" at the end
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        for line in self.stream:
            self.written.append(line)
            self.lines.put(line)
        self.lines.put("")

    def next_line(self) -> str:
        """The line after those that were asked for; "" at the end. queue.Empty when none comes."""
        return self.lines.get(timeout=PATIENCE)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads up to a line that matches. AssertionError when the process ends without one."""
        while not (match := re.search(pattern, line := self.next_line())):
            assert line, f"the process ended without a line like {pattern!r}:\n{self.text()}"
        return match

    def wait_for_end(self) -> None:
        """Waits until nobody is left who could write."""
        self.reader.join(PATIENCE)

    def text(self) -> str:
        """What was written so far, whether anybody has asked for it or not."""
        return "".join(self.written)
