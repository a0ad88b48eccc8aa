"""Where the connections of a site wait: the front puts them in, the workers of the site take them out.

The parent holds both ends, so that connections wait there while a site's processes are replaced.
"""

import socket
from typing import NamedTuple

from penstock.sockets import UNIX_PORT, Listener

# A message holds a head; some of the largest ones shall fit. Linux doubles it, up to net.core.wmem_max without rights.
SPACE = 1024 * 1024


class Inbox(NamedTuple):
    """Both ends: the front's, and the site's as something to listen on."""

    front: socket.socket
    listener: Listener

    @classmethod
    def make(cls, site: str) -> "Inbox":
        """An empty one."""
        front, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        front.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SPACE)
        return cls(front, Listener(theirs, "handed", site, UNIX_PORT, "", is_ours=False))

    def close(self) -> None:
        """Gives both ends up; who waits there is closed."""
        self.front.close()
        self.listener.socket.close()
