"""The application's own functions at set moments: when it is loaded, in a worker's life, around each request.

None of them runs in the supervisor. A path that leads nowhere and a function that raises end a start or a reload, as
any mistake of the application does; at a worker's end they are logged.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from penstock.app import Application, failure, import_named
from penstock.config import Config

NAMES = ("on_start", "on_reload", "post_fork", "on_ready", "on_exit", "pre_request", "post_request")


class Hooks:
    """The functions that are set, by the name of their setting."""

    def __init__(self, functions: dict[str, Callable[..., Any]]) -> None:
        self.functions = functions

    def call(self, name: str, *arguments: object) -> None:
        """Calls one, if it is set. AppFailed when it raises."""
        if name in self.functions:
            try:
                self.functions[name](*arguments)
            except (Exception, SystemExit) as error:
                raise failure(f"the hook {name} failed", error) from error

    def around(self, application: Application) -> Application:
        """The application, with what is to be called before and after each request; itself when nothing is."""
        before, after = self.functions.get("pre_request"), self.functions.get("post_request")
        if after:
            application = followed(application, after)
        if before:
            application = preceded(application, before)
        return application


def load(config: Config) -> Hooks:
    """Imports the functions that the configuration names. Raises AppNotFound or AppFailed."""
    named = {name: config.values[name] for name in NAMES if config.values[name].value}
    return Hooks(
        {name: import_named(path, f"the hook {name} ({origin})")[0] for name, (path, origin) in named.items()}
    )


def preceded(application: Application, before: Callable[..., Any]) -> Application:
    """Calls `before` with the environ, ahead of the application."""

    def precede(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        before(environ)
        return application(environ, start_response)

    return precede


def followed(application: Application, after: Callable[..., Any]) -> Application:
    """Calls `after` with the environ and the status ("" when there is none), behind the application."""

    def follow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        status = ""

        def start(told: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            nonlocal status
            status = told
            return start_response(told, headers, *exc_info)

        try:
            response = application(environ, start)
        except BaseException:
            after(environ, status)
            raise
        # Both are sent without Python, as long as nothing is wrapped around them.
        if isinstance(response, list | environ["wsgi.file_wrapper"]):
            after(environ, status)
            return response
        return Followed(response, lambda: after(environ, status))

    return follow


class Followed:
    """A response that calls back once it is closed."""

    def __init__(self, response: Iterable[bytes], on_close: Callable[[], object]) -> None:
        self.response, self.on_close = response, on_close

    def __iter__(self) -> Iterator[bytes]:
        """The response's own iterator."""
        return iter(self.response)

    def close(self) -> None:
        """Closes the response first, whatever comes of that."""
        try:
            close = getattr(self.response, "close", None)
            if close:
                close()
        finally:
            self.on_close()
