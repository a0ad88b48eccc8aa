"""`penstock explain`: every setting with its origin, and the application that would be served. Runs no code of it."""

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from penstock import capacity
from penstock.app import find
from penstock.cgroups import own_ground
from penstock.config import Config
from penstock.errors import PenstockError
from penstock.settings import LAYERED, TABLE


def explain(config: Config, environment: Mapping[str, str], as_json: bool, has_colour: bool) -> str:
    """The text to print: coloured for a person, aligned lines otherwise, or JSON."""
    settings = [
        {
            "name": setting.name,
            "section": setting.section,
            "value": setting.kind.disclose(config.values[setting.name].value),
            "shown": setting.kind.show(config.values[setting.name].value) + meaning(setting.name, config),
            "origin": config.origin(setting.name),
        }
        for setting in (TABLE if config.site else LAYERED)
    ]
    application = describe(config, environment)
    if as_json:
        import json  # noqa: PLC0415

        return json.dumps({"application": application, "settings": settings}, indent=2)
    variables = application.pop("variables", [])
    rows = [("", key.replace("_", " "), str(value), "") for key, value in application.items() if value]
    rows += [("", row["name"], row["shown"], row["origin"]) for row in variables]
    rows += [(f"[{row['section']}]", row["name"], row["shown"], row["origin"]) for row in settings]
    if has_colour:
        from penstock.explain_screen import draw  # noqa: PLC0415 (for people only)

        return draw(rows).rstrip()
    return table(rows)


def describe(config: Config, environment: Mapping[str, str]) -> dict[str, Any]:
    """Where the application is and who chose its settings module; or why there is none."""
    if config.has_sites and not config.site:
        return {"sites": ", ".join(config.sites), "hint": "--site NAME explains one of them"}
    try:
        found = find(config, environment)
    except PenstockError as error:
        return {"error": error.message, "tried": dedent(error.detail).strip(), "hint": error.hint}
    name = f"{found.module}:{found.attribute or 'application or app'}" if found.module else "WSGI_APPLICATION"
    return {
        "application": name + ("()" if found.is_factory else ""),
        "chosen_by": found.rule,
        "directory": found.directory,
        "settings_module": found.settings,
        "settings_chosen_by": found.settings_origin,
        "passed_over": ", ".join(
            f"{choice.module} ({choice.origin})" for choice in found.choices if choice.module != found.settings
        ),
        "warning": "; ".join(found.warnings),
        "variables": [
            {"name": name, "shown": variable.show(name), "origin": variable.origin}
            for name, variable in found.variables.items()
        ],
    }


def meaning(name: str, config: Config) -> str:
    """What a value comes to on this machine: "auto", and what the system may not have."""
    if name == "site_memory" and config.site_memory and (problem := own_ground().problem):
        return f" (for each process: {problem})"
    if config.values[name].value != "auto":
        return ""
    if name == "workers":
        return f" ({capacity.count_cpus()})"
    if name == "threads":
        return f" ({capacity.THREADS})"
    if name == "max_connections":
        return f" ({capacity.max_connections(capacity.raise_descriptor_limit())})"
    return ""


def table(rows: list[tuple[str, str, str, str]]) -> str:
    """The rows aligned, for programs that read lines."""
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    below = "\n" + " " * (widths[0] + widths[1] + 4)
    return "\n".join(
        f"{section:{widths[0]}}  {name:{widths[1]}}  {value:{min(widths[2], 48)}}  {origin}".rstrip().replace(
            "\n", below
        )
        for section, name, value, origin in rows
    )
