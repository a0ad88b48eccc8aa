"""Hands Penstock's own lines to Python's logging, set up by a dictConfig. Imported only when log_config is set."""

import importlib
import json
import logging
import logging.config
import sys
import tomllib
from typing import Any

from penstock.errors import ConfigurationError

LOGGER = "penstock"


class Handover:
    """The logger that gets the lines. An application that sets up logging for itself cannot switch it off."""

    def __init__(self, level: str) -> None:
        self.logger = logging.getLogger(LOGGER)
        if not self.logger.level:
            self.logger.setLevel(level.upper())

    def write(self, level: str, message: str) -> None:
        """Logs one event."""
        # dictConfig disables the loggers that it does not name, unless it is told not to; Django's does not tell it.
        self.logger.disabled = False
        self.logger.log(logging.getLevelNamesMapping()[level.upper()], "%s", message)

    def reopen(self) -> None:
        """Opens the files of the handlers anew, after they were rotated."""
        for handler in (*self.logger.handlers, *logging.getLogger().handlers):
            if isinstance(handler, logging.FileHandler) and handler.stream:
                rotated = handler.setStream(handler._open())
                if rotated:
                    rotated.close()


def hand_over(source: str, level: str, directory: str) -> Handover:
    """Sets logging up as `source` says: a file of JSON or TOML, or module:attribute, looked for in `directory` first.

    Raises ConfigurationError.
    """
    try:
        settings = read(source, directory)
        logging.config.dictConfig(settings)
    except Exception as error:  # a handler may be of any class, and raise what it likes
        cause = error.__cause__ or error
        raise ConfigurationError(
            f"log_config {source} cannot be used: {error}" + (f": {cause}" if cause is not error else ""),
            'it must be a dictionary for logging.config.dictConfig, with "version": 1',
        ) from error
    return Handover(level)


def read(source: str, directory: str) -> Any:
    """The dictionary."""
    if source.endswith(".json"):
        with open(source, "rb") as file:
            return json.load(file)
    if source.endswith(".toml"):
        with open(source, "rb") as file:
            return tomllib.load(file)
    module, _, attribute = source.partition(":")
    before = set(sys.modules)
    sys.path.insert(0, directory)
    try:
        return getattr(importlib.import_module(module), attribute)
    finally:
        sys.path.remove(directory)
        # The application's package is loaded by the mold, and anew by each generation: not by us.
        package = module.partition(".")[0]
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == package:
                del sys.modules[name]
