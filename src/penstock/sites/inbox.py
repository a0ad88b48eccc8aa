"""Where the connections of a site wait: the front puts them in, the workers of the site take them out.

The parent holds both ends, so that connections wait there while the site's processes are replaced.
"""

import socket
from typing import NamedTuple

# Each message has a head; many of the usual size shall fit. Linux doubles it, and has net.core.wmem_max as a limit.
SPACE = 1024 * 1024


class Inbox(NamedTuple):
    """The ends of the front and of the site."""

    front: socket.socket
    site: socket.socket

    @classmethod
    def make(cls) -> "Inbox":
        """An empty one."""
        front, site = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (front, site):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SPACE)
        return cls(front, site)

    def close(self) -> None:
        """Gives both ends up; who waits there is closed."""
        self.front.close()
        self.site.close()
