"""One site, seen from the parent: its inbox, its control socket, its supervisor's process. Decides nothing."""

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

from penstock.cli import SITE
from penstock.config import Config
from penstock.errors import PenstockError
from penstock.processes import Channel, Message
from penstock.sites.child import Legacy
from penstock.sites.inbox import Inbox
from penstock.sites.world import start_in_world, world_of

if TYPE_CHECKING:
    from penstock.sites.process import Sites


class SiteHandle:
    """What the parent holds of one site."""

    def __init__(self, parent: "Sites", name: str, number: int, slot: int | None, config: Config) -> None:
        """`number` is that of its engines' tables; `slot` is where the front counts, None when it does not."""
        self.parent = parent
        self.name, self.number, self.slot, self.config = name, number, slot, config
        self.inbox = Inbox.make()
        self.pid = 0
        self.channel: Channel | None = None  # to its supervisor
        self.control: socket.socket | None = None
        self.control_path = ""

    def start(self) -> None:
        """Starts its supervisor, in the site's world. Raises PenstockError when that cannot be done."""
        self.unwatch(self.inbox.site)
        if self.parent.control_base:
            self.open_control(f"{self.parent.control_base}-{self.name}")
        ours, theirs = Channel.pair()
        legacy = Legacy(
            self.name,
            self.number,
            {**self.parent.arguments, "site": self.name},
            self.parent.start,
            [(listener.kind, listener.host, listener.port) for listener in self.parent.listeners],
            self.parent.table(),
            theirs.end,
            self.inbox.site,
            self.control,
        )
        words = ["-m", "penstock", "serve", "--site", self.name]
        try:
            self.pid = start_in_world(world_of(self.config, {SITE: legacy.dump()}), words, legacy.fds)
        except OSError as error:
            ours.close()
            raise PenstockError(f"the system refuses: {error.strerror}") from error
        except PenstockError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel = ours
        self.parent.watch(ours.end, lambda _: self.parent.listen_to(self))

    def hear(self) -> list[Message]:
        """What its supervisor has said since; the channel is given up when that has gone."""
        if not self.channel:
            return []
        said = list(self.channel.receive_waiting())
        if None in said:
            self.close_channel()
        return [message for message in said if message is not None]

    def await_request(self) -> None:
        """Waits for somebody in its inbox, who may be there already."""

        def wake(_: int) -> None:
            self.unwatch(self.inbox.site)
            self.parent.act(self.parent.state.wanted(self.name, time.monotonic()))

        self.parent.watch(self.inbox.site, wake)

    def unwatch(self, source: socket.socket) -> None:
        """Has the parent wait no longer for one of its sockets, if it does."""
        if source.fileno() in self.parent.watched:
            self.parent.unwatch(source)

    def open_control(self, path: str) -> None:
        """Binds the control socket of its supervisor, which listens on it; again after the site was away."""
        if self.control:
            return
        with contextlib.suppress(OSError):
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # of a dead process that had our pid, which is in the name
            listening.bind(path)
            os.chmod(path, 0o600)
            listening.listen()
            self.control, self.control_path = listening, path

    def close_control(self) -> None:
        """Removes the control socket; who waits there for a supervisor that has left is told by the end."""
        if self.control:
            self.control.close()
            with contextlib.suppress(OSError):
                os.unlink(self.control_path)
        self.control, self.control_path = None, ""

    def close_channel(self) -> None:
        """Hears its supervisor no more."""
        if self.channel:
            self.unwatch(self.channel.end)
            self.channel.close()
            self.channel = None

    def close(self) -> None:
        """Gives up what is the site's."""
        self.unwatch(self.inbox.site)
        self.inbox.close()
        self.close_control()
        self.close_channel()

    def leave_behind(self) -> None:
        """In a process forked from the parent: keeps only the front's end of the inbox, which may be the front's."""
        self.inbox.site.close()
        if self.control:
            self.control.close()
