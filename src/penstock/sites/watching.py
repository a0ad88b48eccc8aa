"""Notices when the files of sites change: inotify(7), without a thread, because the parent forks.

Only says that something changed; whoever hears it looks what.
"""

import ctypes
import os

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE = 0x8, 0x40, 0x80, 0x200  # sys/inotify.h


class DirectoryWatch:
    """A descriptor that becomes readable when a file of a directory was written, moved or removed."""

    def __init__(self, directory: str) -> None:
        """OSError when the system refuses."""
        system = ctypes.CDLL(None, use_errno=True)
        self.fd: int = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        changes = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
        if self.fd < 0 or system.inotify_add_watch(self.fd, os.fsencode(directory), changes) < 0:
            code = ctypes.get_errno()
            if self.fd >= 0:
                os.close(self.fd)
            raise OSError(code, os.strerror(code))

    def fileno(self) -> int:
        """Readable when something has changed."""
        return self.fd

    def clear(self) -> None:
        """Forgets what has changed."""
        os.read(self.fd, 64 * 1024)

    def close(self) -> None:
        """Watches no longer."""
        os.close(self.fd)
