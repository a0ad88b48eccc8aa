"""Runs a gunicorn.conf.py, alone in its process, and writes what it sets as JSON to standard output.

Started as a script with the file as its argument. What the file prints goes to standard error.
"""

import json
import os
import sys
import traceback
from typing import Any


def portable(value: Any) -> Any:
    """The value as JSON has it; functions and other objects as {"object": what it is}."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [portable(item) for item in value]
    if isinstance(value, dict):
        return {str(name): portable(item) for name, item in value.items()}
    return {"object": f"a {type(value).__name__}"}


def evaluate(path: str) -> dict[str, Any]:
    """What the file sets, or its error with the line in it."""
    names: dict[str, Any] = {"__file__": path, "__name__": "__config__"}
    try:
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec"), names)
    except BaseException as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return {"error": f"{type(error).__name__}: {error}", "line": lines[-1] if lines else 1}
    return {"settings": {name: portable(value) for name, value in names.items() if not name.startswith("_")}}


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Gunicorn finds the project's own modules, too.
    sys.path[0] = os.getcwd()
    json.dump(evaluate(sys.argv[1]), answer)
    answer.close()
    os._exit(0)  # whatever threads the file has started
