"""What can go wrong, as a sentence, a hint and an exit code. Never prints: cli.py and the log do."""

from collections.abc import Iterable


class PenstockError(Exception):
    """The application or a check failed.

    `message` is a sentence without a full stop, `hint` says what to do, `detail` holds lines to show between the two
    (the application's own traceback). The exit code is the one that the command ends with.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        """The parts as a person reads them: `message`, `detail` and `hint: …`, parted by empty lines."""
        hint = f"hint: {self.hint}" if self.hint else ""
        return "\n\n".join(part for part in (self.message, self.detail.rstrip(), hint) if part)

    def to_message(self) -> dict[str, str]:
        """For the pipe between processes; see `from_message`."""
        return {"kind": type(self).__name__, "message": self.message, "hint": self.hint, "detail": self.detail}


class UsageError(PenstockError):
    """The command line says something that it must not."""

    exit_code = 2


class ConfigurationError(PenstockError):
    """A setting has a value that it cannot have, in whatever layer it was given."""

    exit_code = 2


class AppNotFound(PenstockError):  # noqa: N818 (it says what happened)
    """There is no application, or not where TARGET says."""


class AppFailed(PenstockError):  # noqa: N818 (it says what happened)
    """The application is there and cannot be loaded: its own fault, so its own traceback is in `detail`."""


class CannotBind(PenstockError):  # noqa: N818 (it says what happened)
    """A listening socket cannot be had."""

    exit_code = 3


class RequestTimeout(BaseException):
    """Raised in a view whose deadline has passed: the client has had its 504, and the thread shall come back.

    No `Exception`, so that `except Exception:` in a loop that tries again does not keep the thread for ever.
    """

    def __init__(self) -> None:
        super().__init__("the request has passed its deadline (the setting timeout)")


KINDS = {kind.__name__: kind for kind in (UsageError, ConfigurationError, AppNotFound, AppFailed, CannotBind)}


def from_message(message: dict[str, str]) -> PenstockError:
    """The error that `to_message` was called on in another process. An unknown kind becomes a PenstockError."""
    kind = KINDS.get(message["kind"], PenstockError)
    return kind(message["message"], message["hint"], message["detail"])


def nearest(word: str, candidates: Iterable[str]) -> str:
    """`did you mean 'x'?` for the candidate most like `word`, whatever dashes it begins with; "" when none is."""
    from difflib import get_close_matches  # noqa: PLC0415 (only wanted when something is wrong)

    names = {candidate.lstrip("-"): candidate for candidate in candidates}
    matches = get_close_matches(word.lstrip("-"), names, n=1)
    return f"did you mean {names[matches[0]]!r}?" if matches else ""
