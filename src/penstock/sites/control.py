"""What the parent of several sites is asked through its control socket; each site is asked through its own."""

from typing import TYPE_CHECKING

from penstock.admin.control import Answer, Client, error_answer
from penstock.errors import UsageError, nearest

if TYPE_CHECKING:
    from penstock.sites.process import Sites

KNOWN = ("status", "reload", "start", "stop", "reopen-logs", "upgrade")


class SitesClient(Client):
    """Somebody who asks the parent."""

    supervisor: "Sites"  # type: ignore[assignment]

    def hear(self, question: Answer) -> None:
        """Does what is asked. Raises PenstockError when it cannot be done."""
        site = question.get("site")
        match question.get("command"):
            case "status":
                self.answer({"ok": True, **self.supervisor.snapshot()})
            case "reload":
                self.supervisor.reload(reloads=False)
                self.answer({"ok": True})
            case "start":
                self.supervisor.start_site(str(site), self.decided)
            case "stop":
                if site is None:
                    self.supervisor.stop()
                else:
                    self.supervisor.stop_site(str(site))
                self.answer({"ok": True})
            case "reopen-logs":
                self.supervisor.reopen_logs(None if site is None else str(site))
                self.answer({"ok": True})
            case "upgrade":
                self.supervisor.start_upgrade(self.decided)
            case other:
                raise UsageError(
                    f"several sites have no command {other!r} for all of them", nearest(str(other), KNOWN)
                )

    def decided(self, error: dict[str, str] | None) -> None:
        """Answers when a site is up, or a new parent has taken over, or that has failed."""
        self.answer(error_answer(error) if error else {"ok": True})
