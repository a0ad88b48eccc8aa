"""Has the browser show a page anew when the code behind it has changed: a script in the page, and what it asks.

Only whole HTML pages that a browser has asked for by GET get the script: nothing that is compressed, streamed, sent
away by POST, or under a Content-Security-Policy. Knows nothing of Django, and of who notices a change.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

PREFIX = "/.penstock/"
PATIENCE = 25  # seconds until a question is answered with "nothing yet": proxies close what is silent for 30 or 60
PAUSE = 1000  # milliseconds until the next question when this one could not wait
MOST_WAITING = 8  # each takes a thread; only visible pages ask

# A page that a cache has kept says an old version: it is shown anew once, and not for ever.
SCRIPT = """\
(() => {
  let version = document.currentScript.dataset.version;
  const url = new URL("version", document.currentScript.src);
  const sleep = pause => new Promise(resolve => setTimeout(resolve, pause));
  let question = null;

  async function ask() {
    question = new AbortController();
    try {
      const response = await fetch(`${url}?since=${version}`, {cache: "no-store", signal: question.signal});
      const answer = await response.json();
      if (answer.version !== version) {
        version = answer.version;
        if (sessionStorage.getItem("penstock") !== version) {
          sessionStorage.setItem("penstock", version);
          location.reload();
        }
      }
      await sleep(answer.pause);
    } catch {
      await sleep(%d);
    }
  }

  async function watch() {
    while (document.visibilityState === "visible") await ask();
    document.addEventListener("visibilitychange", watch, {once: true});
  }

  document.addEventListener("visibilitychange", () => document.hidden && question && question.abort());
  watch();
})();
"""

Headers = list[tuple[str, str]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Refresh:
    """What the pages of one server ask for. `can_wait` is false when there is only one thread."""

    def __init__(self, can_wait: bool) -> None:
        self.can_wait = can_wait
        self.changed = threading.Condition()
        self.version = new_version()
        self.waiting = 0

    def tell(self) -> None:
        """Has every page shown anew."""
        with self.changed:
            self.version = new_version()
            self.changed.notify_all()

    def around(self, application: Application) -> Application:
        """The application, with the script in its pages, and with the answers to it."""

        def refreshing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if path.startswith(PREFIX):
                return self.answer(path.removeprefix(PREFIX), environ, start_response)
            if not is_page_wanted(environ):
                return application(environ, start_response)
            page = Page(start_response, self.tag())
            return page.finish(application(environ, page.start_response))

        return refreshing

    def tag(self) -> bytes:
        """What is put into a page."""
        return f'<script src="{PREFIX}refresh.js" data-version="{self.version}" async></script>'.encode()

    def answer(self, name: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The script, and the version as soon as it is another one than the page's."""
        status, kind, text = "404 Not Found", "text/plain", "Penstock has no such page.\n"
        if name == "refresh.js":
            status, kind, text = "200 OK", "text/javascript", SCRIPT % PAUSE
        elif name == "version":
            [since] = parse_qs(environ.get("QUERY_STRING", "")).get("since", [""])[:1]
            status, kind, text = "200 OK", "application/json", self.wait_for_change(since)
        body = text.encode()
        start_response(
            status,
            [
                ("Content-Type", f"{kind}; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
            ],
        )
        return [body]

    def wait_for_change(self, since: str) -> str:
        """Waits while the version is `since`, for as long as that is wise."""
        with self.changed:
            can_wait = self.can_wait and self.waiting < MOST_WAITING
            if can_wait:
                self.waiting += 1
                self.changed.wait_for(lambda: self.version != since, PATIENCE)
                self.waiting -= 1
            return json.dumps({"version": self.version, "pause": 0 if can_wait else PAUSE})


class Page:
    """A response on its way: the head is held back until it is known whether the script goes into the body."""

    def __init__(self, start_response: Callable[..., Any], tag: bytes) -> None:
        self.send_head, self.tag = start_response, tag
        self.head: tuple[str, Headers] | None = None  # held back
        self.send_body: Callable[[bytes], object]  # once write() has sent the head

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
        """What the application calls."""
        if exc_info or not can_take_script(headers):
            self.head = None
            write: Callable[[bytes], object] = self.send_head(status, headers, exc_info)
            return write
        self.head = (status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Bytes that are sent this way go out as they come."""
        if self.head:
            head, self.head = self.head, None
            self.send_body = self.send_head(*head)
        self.send_body(data)

    def finish(self, response: Iterable[bytes]) -> Iterable[bytes]:
        """The response to send instead."""
        if not self.head:
            return response
        status, headers = self.head
        if not is_whole(response, headers):
            self.send_head(status, headers)
            return response
        try:
            body = b"".join(response)
        finally:
            close = getattr(response, "close", None)
            if close:
                close()
        before, end, after = body.rpartition(b"</body>")
        if end:
            body = before + self.tag + end + after
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            headers.append(("Content-Length", str(len(body))))
        self.send_head(status, headers)
        return [body]


def new_version() -> str:
    """A name that no server has used before."""
    return f"{time.time_ns():x}"


def is_page_wanted(environ: dict[str, Any]) -> bool:
    """Whether a browser asks for a page to show in a tab. Showing the answer to a POST anew would send it again."""
    return (
        environ.get("REQUEST_METHOD") == "GET"
        and "text/html" in environ.get("HTTP_ACCEPT", "")
        and environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
    )


def can_take_script(headers: Headers) -> bool:
    """Whether the head is that of an HTML page which may run a script of ours."""
    fields = {name.lower(): value for name, value in headers}
    return fields.get("content-type", "").startswith("text/html") and fields.keys().isdisjoint(
        (
            "content-encoding",
            "content-security-policy",
            "content-security-policy-report-only",
            "content-disposition",
            "transfer-encoding",
        )
    )


def is_whole(response: Iterable[bytes], headers: Headers) -> bool:
    """Whether the body is there already, so that nobody waits for what comes later."""
    if getattr(response, "streaming", False):
        return False
    has_length = any(name.lower() == "content-length" for name, _ in headers)
    return has_length or isinstance(response, list | tuple) or hasattr(response, "content")
