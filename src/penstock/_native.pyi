"""The whole boundary between Python and the engine (crates/penstock-native), typed by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, Protocol, Self, TypedDict, final, type_check_only

__all__ = ["Engine", "Front", "Scoreboard", "check_access_log_format", "request_begins", "request_ends", "version"]

@type_check_only
class ListenerOptions(TypedDict):
    """One listening socket, already bound and listening; the engine keeps the descriptor open while it runs."""

    fd: int
    kind: str  # "tcp" or "unix"
    server_name: str  # SERVER_NAME when the request names no host
    server_port: str  # SERVER_PORT
    is_uwsgi: NotRequired[bool]  # its peers speak the uwsgi protocol instead of HTTP

@type_check_only
class StaticMount(TypedDict):
    """Files below a URL prefix. Roots are tried in order; the first that has the file answers."""

    prefix: str  # begins and ends with "/"
    roots: Sequence[str]  # absolute directories
    max_age: int  # seconds of Cache-Control for names without a hash; 0: "no-cache" with validators
    immutable: str  # "hashed": names like app.3f2a1b4c5d6e.css get "immutable"; "never"
    fall_through: bool  # a missing file goes on to the application instead of 404

@type_check_only
class SiteRule(TypedDict):
    """Requests for these hosts below this path belong to a site.

    Of all rules that fit, the most specific host counts, then the longest path.
    """

    hosts: Sequence[str]  # exact, "*.example.org" for all below it, "" for any; without a port
    path: str  # "/" for all; "/shop" has "/shop" and "/shop/a" below it, not "/shops"
    site: int  # its place among the front's sites

@type_check_only
class EngineOptions(TypedDict):
    """Everything that the engine is told. Times are seconds, sizes bytes, counts counts."""

    listeners: Sequence[ListenerOptions]
    threads: int  # at most this many call the application; at least 1
    multiprocess: bool  # wsgi.multiprocess
    max_connections: int
    max_request_line: int
    max_head: int
    max_fields: int
    max_body: int
    body_memory: int  # a larger body goes to a temporary file
    response_memory: int  # a larger unsent response goes to a temporary file
    stream_body: bool  # wsgi.input reads from the client instead of whole bodies
    temp_dir: str
    head_timeout: float
    body_timeout: float  # longest pause within a body
    min_body_rate: int  # bytes a second, over the whole body, after the first body_timeout
    keep_alive_timeout: float  # 0: close after each response
    write_timeout: float  # longest time in which a client reads nothing
    queue_size: int  # requests that may wait for a thread
    queue_timeout: float  # longest time that a request may wait for a thread
    forwarded_allow: Sequence[str]
    proxy_protocol: bool
    static: Sequence[StaticMount]
    protected: Mapping[str, str]  # X-Accel-Redirect prefix -> directory; X-Sendfile paths must lie in one of them
    access_log: str  # "" none, "-" standard output, else a path
    access_log_format: str  # "combined", "json" or a format with Gunicorn's atoms
    error_log_fd: int  # where the engine's own lines and tracebacks go; 2 is standard error
    scoreboard_fd: int  # -1: none
    scoreboard_slot: int
    uwsgi_allow: NotRequired[Sequence[str]]  # peers that may speak the uwsgi protocol, as in forwarded_allow
    guarded: NotRequired[Sequence[str]]  # paths whose files wait for environ["penstock.serve_file"]; "/": all
    timeout: NotRequired[float]  # of one call of the application, or of one pause in its response; 0: none
    timeout_grace: NotRequired[float]  # after that a call that has not ended is stuck
    slow_request_log: NotRequired[float]  # a call that takes so long is reported; 0: none is
    dump_signal: NotRequired[int]  # raised when a stuck call keeps the GIL, for faulthandler; 0: none
    health_path: NotRequired[str]  # answered natively with 200; "": none
    request_id: NotRequired[bool]  # each request gets an X-Request-ID unless a trusted peer has sent one
    script_name: NotRequired[str]  # SCRIPT_NAME: the site's path as configured, without a slash at its end
    # Behind a front: its listeners are named, in its order, and nobody is accepted from them here (fd may be -1).
    front_fd: NotRequired[int]  # the site's end of the SOCK_SEQPACKET pair that connections come through, and go back
    routes: NotRequired[Sequence[SiteRule]]
    own_site: NotRequired[int]  # requests of all others go back to the front

@type_check_only
class Lifecycle(Protocol):
    """What the engine tells an application's framework, each in the thread that it is about."""

    def unfinished(self, environ: dict[str, Any], has_failed: bool, /) -> object:
        """A request that `request_begins` has counted was not ended when its call was over.

        `has_failed`: the application has raised, or its response could not be sent.
        """

    def rest(self) -> float | None:
        """The thread has had nothing to do for a while. Seconds after which to ask again; None: when it has worked."""

    def leave(self) -> object:
        """The thread ends."""

@final
class Engine:
    """Serves one WSGI application from this process."""

    def __new__(
        cls,
        application: Callable[..., Any],
        options: EngineOptions,
        on_late: Callable[[str, int, str, float], object] | None = None,
        timeout_exception: type[BaseException] | None = None,
        log: Callable[[str, str], object] | None = None,
        lifecycle: Lifecycle | None = None,
    ) -> Self:
        """Checks the options. ValueError names the one that is wrong; nothing is started.

        `on_late` is called in the main thread for each late call: "slow", "late" or "stuck", the thread's ident, the
        method and path, and the age in seconds. `timeout_exception` is raised in a thread whose call is late.
        `log` takes a level and a text, such as an application's traceback; without it they go to `error_log_fd`.
        `lifecycle` hears of requests left open and of threads that rest.
        """

    def run(self, wakeup_fd: int = ...) -> int:
        """Serves until stop(). To be called in the main thread, which it never uses for requests.

        Returns how many threads are still inside the application after the graceful time: 0 after a clean stop. With
        others the process must end without Python's own finalization, which such threads would break.

        Python's signal handlers run in here: `wakeup_fd` is the reading end of what signal.set_wakeup_fd() writes to.
        """

    def stop(self, graceful_timeout: float) -> None:
        """Asks run() to return: idle connections close, requests in flight get `graceful_timeout` seconds.

        May be called from a signal handler or any thread; a second call shortens the time.
        """

    def reopen_logs(self) -> None:
        """Opens the access log's path anew, after it was rotated."""

    def stats(self) -> dict[str, int]:
        """Counters since the start: connections, requests, responses by class, bytes, threads, queue."""

@final
class Front:
    """Accepts for many sites, reads the first head of each connection, and passes it on to the site that it is for.

    It calls no application: of `options` those count that are about listeners, connections, heads, logs and routes.
    """

    def __new__(
        cls,
        options: EngineOptions,
        sites: Sequence[tuple[int, int | None]],
        on_control: Callable[[], bool] | None = None,
        log: Callable[[str, str], object] | None = None,
    ) -> Self:
        """`sites`: the front's end of each site's SOCK_SEQPACKET pair, and the slot of the scoreboard in which its
        connections are counted. Every site is up at first. One whose other end has gone is given up.

        `on_control` hears that `control_fd` can be read: it reads one message, and says whether to go on. It is called
        in the main thread. ValueError names the option or the rule that is wrong.
        """

    def run(self, wakeup_fd: int = ..., control_fd: int = ...) -> None:
        """Passes connections on until stop(). To be called in the main thread; see Engine.run for `wakeup_fd`."""

    def stop(self, graceful_timeout: float) -> None:
        """Asks run() to return: nobody is accepted any more, who is there gets `graceful_timeout` seconds."""

    def set_state(self, site: int, state: str, reason: str = "") -> None:
        """ "up"; "waiting": requests are kept for it, and counted; "down": 503 with the reason.

        IndexError when there is no such site, ValueError when there is no such state.
        """

    def add_site(self, site: int, slot: int | None = None) -> int:
        """Adds a site by its descriptor; see above for the slot. Its number, for set_routes() and set_state()."""

    def set_routes(self, routes: Sequence[SiteRule]) -> None:
        """Replaces the table that tells whose a request is. ValueError when a rule is wrong."""

    def reopen_logs(self) -> None:
        """Opens the access log's path anew, after it was rotated."""

    def stats(self) -> dict[str, int]:
        """Counters since the start, as an engine has them; those that are about applications stay 0."""

@final
class Scoreboard:
    """Shared memory that the workers of one supervisor write and the supervisor reads."""

    def __new__(cls, workers: int, threads: int) -> Self:
        """Makes one for `workers` slots of `threads` cells each. OSError when memory is refused."""

    def fileno(self) -> int:
        """The descriptor to hand to workers; closed on exec unless it is passed on."""

    def read(self, slot: int) -> dict[str, Any]:
        """One worker's counters, latency histogram and threads. IndexError when there is no such slot."""

    def clear(self, slot: int) -> None:
        """Empties a slot before another worker gets it."""

def check_access_log_format(format: str, /) -> None:
    """Refuses a format that no access log can have. ValueError is "what is wrong; hint: what there is"."""

def request_begins(*, signal: object = None, sender: object = None, environ: object = None, **_named: Any) -> None:
    """A receiver of Django's request_started: counts a request as open in this thread."""

def request_ends(*, signal: object = None, sender: object = None, **_named: Any) -> None:
    """A receiver of Django's request_finished: counts it as ended."""

def version() -> str:
    """The engine's version; equal to the package's."""
