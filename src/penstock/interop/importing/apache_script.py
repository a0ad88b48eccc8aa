"""Reads the script of a WSGIScriptAlias without running it, when it only sets variables and names an application.

Says nothing of a script that does more: it is run as it is, then.
"""

import ast


def read_script(path: str) -> tuple[str, dict[str, str]] | None:
    """module:attribute and the variables that a script sets; None when it does anything else, or cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, ValueError, SyntaxError):
        return None
    target, variables = "", {}
    for statement in tree.body:
        if found := imported_application(statement):
            target = found
        elif variable := set_variable(statement):
            variables[variable[0]] = variable[1]
        elif not is_harmless(statement):
            return None
    return (target, variables) if target else None


def imported_application(statement: ast.stmt) -> str:
    """`from module import name as application`."""
    if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        for one in statement.names:
            if "application" in (one.asname, one.name) and one.asname in (None, "application"):
                return f"{statement.module}:{one.name}"
    return ""


def set_variable(statement: ast.stmt) -> tuple[str, str] | None:
    """`os.environ["NAME"] = "VALUE"`, and nothing that is worked out."""
    if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]).startswith("os.environ["):
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            name = target.slice.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and isinstance(name, str):
                return name, value.value
    return None


def is_harmless(statement: ast.stmt) -> bool:
    """A text, or `import os`."""
    if isinstance(statement, ast.Import):
        return [one.name for one in statement.names] == ["os"]
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
