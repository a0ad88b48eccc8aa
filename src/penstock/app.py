"""Finds the application and loads it. `find` only looks at files; `load` runs the application's own code.

Every way to fail is an error with a cause and a hint; a bare traceback never leaves this file.
"""

import glob
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.config import Config, find_above
from penstock.django.project import VARIABLE, choose_settings, is_manage
from penstock.errors import AppFailed, AppNotFound, PenstockError, UsageError, nearest

TARGET = re.compile(r"(?P<module>[^:()]+)(?::(?P<attribute>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<call>\(\))?)?")
FORMS = "module, module:attribute, module:factory(), or a path to a .py file (with :attribute if need be)"
ATTRIBUTES = ("application", "app")  # the names that PEP 3333's users agree on
TRACEBACK_FRAMES = 6  # the ones next to the mistake; the others are the way to it

Application = Callable[..., Any]


class Found(NamedTuple):
    """Where the application is, and by which rule it was chosen."""

    module: str  # "" when Django's settings decide
    attribute: str  # "" for the usual names
    is_factory: bool
    path: str  # goes first on sys.path
    directory: str  # the working directory of the site's processes
    rule: str
    settings: str  # Django's settings module, "" when unknown or none
    settings_origin: str
    variables: dict[str, str]  # to add to the environment


class Loaded(NamedTuple):
    """The application, ready to be called."""

    application: Application
    name: str  # module:attribute
    rule: str
    uses_django: bool


def find(config: Config, environment: Mapping[str, str]) -> Found:
    """Looks for the application by the rules of the command line. AppNotFound lists what was tried."""
    start = config.directory
    if config.app:
        return find_named(config, environment, start)
    tried = []
    manage = find_above(start, "manage.py")
    if manage and is_manage(manage):
        directory = os.path.dirname(manage)
        files = read_env_files(directory, config.env)
        settings, origin = settings_for(config, environment, files, [manage, *glob.glob(f"{directory}/*/wsgi.py")])
        if settings:
            variables = variables_for(config, environment, files) | {VARIABLE: settings}
            return Found("", "", False, directory, directory, f"{shorten(manage)}", settings, origin, variables)
        tried.append(f"{shorten(manage)} names no settings module in plain words")
    else:
        tried.append("there is no manage.py of Django here or above")
    modules = sorted(glob.glob(os.path.join(start, "*", "wsgi.py")))
    if len(modules) == 1:
        files = read_env_files(start, config.env)
        settings, origin = settings_for(config, environment, files, modules)
        variables = variables_for(config, environment, files)
        module = os.path.basename(os.path.dirname(modules[0])) + ".wsgi"
        rule = "the only */wsgi.py here"
        return Found(module, "", False, start, start, rule, settings, origin, variables)
    if modules:
        names = ", ".join(os.path.relpath(path, start) for path in modules)
        tried.append(f"there are several wsgi.py: {names}")
    else:
        tried.append("there is no */wsgi.py here")
    place = "no penstock.toml here names an app" if not config.file else f"{shorten(config.file)} names no app"
    raise AppNotFound(
        f"no application found in {start}",
        "name it, as in `penstock serve mysite.wsgi:application`, or start in the directory of manage.py",
        "\n".join(f"  - {line}" for line in ("no TARGET was given", place, *tried)),
    )


def find_named(config: Config, environment: Mapping[str, str], start: str) -> Found:
    """The application that TARGET, PENSTOCK_APP or the file names."""
    match = TARGET.fullmatch(config.app)
    if not match:
        raise UsageError(f"{config.app!r} ({config.origin('app')}) is not a TARGET", f"write {FORMS}")
    module, path = match["module"], start
    if module.endswith(".py") or os.sep in module:
        module, path = module_of(os.path.join(start, module), config)
        source = os.path.join(path, *module.split(".")) + ".py"
    else:
        if not all(part.isidentifier() or "-" in part for part in module.split(".")):
            raise UsageError(f"{module!r} ({config.origin('app')}) is not the name of a module", f"write {FORMS}")
        source = os.path.join(start, *module.split(".")) + ".py"
    files = read_env_files(path, config.env)
    settings, origin = settings_for(config, environment, files, [source])
    variables = variables_for(config, environment, files)
    return Found(
        module,
        match["attribute"] or "",
        bool(match["call"]),
        path,
        start,
        config.origin("app"),
        settings,
        origin,
        variables,
    )


def module_of(path: str, config: Config) -> tuple[str, str]:
    """The dotted name of the module in a file, and the directory to import it from: the first that is no package."""
    path = os.path.normpath(path)
    if not os.path.isfile(path):
        directory = os.path.dirname(path)
        others = [name for name in os.listdir(directory) if name.endswith(".py")] if os.path.isdir(directory) else []
        raise AppNotFound(
            f"there is no file {shorten(path)} ({config.origin('app')})", nearest(os.path.basename(path), others)
        )
    directory, name = os.path.split(path)
    parts = [name.removesuffix(".py")]
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, name = os.path.split(directory)
        parts.insert(0, name)
    # A package without __init__.py, beside manage.py.
    if len(parts) == 1 and os.path.isfile(os.path.join(os.path.dirname(directory), "manage.py")):
        directory, name = os.path.split(directory)
        parts.insert(0, name)
    return ".".join(parts), directory


def settings_for(
    config: Config, environment: Mapping[str, str], files: dict[str, tuple[str, str]], sources: list[str]
) -> tuple[str, str]:
    """Django's settings module and who chose it, with the origin as a person writes it."""
    settings, origin = choose_settings((config.settings, config.origin("settings")), environment, files, sources)
    return settings, shorten(origin) if os.path.isabs(origin) else origin


def variables_for(config: Config, environment: Mapping[str, str], files: dict[str, tuple[str, str]]) -> dict[str, str]:
    """What the site's processes get beside the real environment."""
    variables = {name: value for name, (value, _) in files.items() if name not in environment}
    if config.env:
        variables["DJANGO_ENV"] = config.env
    if config.settings:
        variables[VARIABLE] = config.settings
    return variables


def read_env_files(directory: str, env: str) -> dict[str, tuple[str, str]]:
    """The variables of .env, and of .env.NAME over it: value and file name. AppNotFound when .env.NAME is missing."""
    variables: dict[str, tuple[str, str]] = {}
    for name in (".env", f".env.{env}") if env else (".env",):
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            from dotenv import dotenv_values  # noqa: PLC0415 (26 ms that a start without .env does not pay)

            variables.update({key: (value, name) for key, value in dotenv_values(path).items() if value is not None})
        elif env and name != ".env":
            raise AppNotFound(f"--env {env} needs {shorten(path)}, and there is no such file")
    return variables


def load(found: Found, config: Config) -> Loaded:
    """Sets up this process for the application and imports it. Raises AppNotFound or AppFailed."""
    enter(found, config)
    if found.module:
        application, attribute = import_application(found.module, found.attribute, found.is_factory)
        name, rule = f"{found.module}:{attribute}", found.rule
    else:
        application, name, rule = load_from_settings(found)
    if not callable(application):
        raise AppNotFound(
            f"{name} is not callable: it is a {type(application).__name__}",
            "a WSGI application is a function or object that takes environ and start_response",
        )
    return Loaded(application, name, rule, "django.conf" in sys.modules)


def enter(found: Found, config: Config) -> None:
    """Gives this process the application's variables, directory and module path."""
    os.environ.update(found.variables)
    os.chdir(found.directory)
    sys.path[:0] = [path for path in (*config.python_path, found.path) if path not in sys.path]


def import_named(target: str, what: str) -> tuple[Application, str]:
    """The callable that module:attribute or module:factory() means; and its name.

    `what` begins the message of what goes wrong. Raises AppNotFound or AppFailed.
    """
    match = TARGET.fullmatch(target)
    assert match, "the kind Target has let something else through"
    try:
        value, attribute = import_application(match["module"], match["attribute"] or "", bool(match["call"]))
    except PenstockError as error:
        raise type(error)(f"{what}: {error.message}", error.hint, error.detail) from error
    name = f"{match['module']}:{attribute}"
    if not callable(value):
        raise AppNotFound(f"{what} is not callable: it is a {type(value).__name__}")
    return value, name


def import_application(module_name: str, attribute: str, is_factory: bool) -> tuple[Any, str]:
    """The object that module and attribute name, called if it is a factory; and its attribute's name."""
    module = import_module(module_name)
    attribute = attribute or next((name for name in ATTRIBUTES if hasattr(module, name)), "")
    value: Any = module
    try:
        for part in attribute.split("."):
            value = getattr(value, part)
    except AttributeError as error:
        names = [name for name in vars(module) if callable(getattr(module, name)) and not name.startswith("__")]
        wanted = repr(attribute) if attribute else "neither 'application' nor 'app'"
        usual = next((f"did you mean {name!r}?" for name in ATTRIBUTES if name in names), "")
        hint = nearest(attribute, names) or usual or f"name the application, as in {module_name}:NAME"
        verb = "has no attribute" if attribute else "has"
        raise AppNotFound(f"{module_name} {verb} {wanted}", hint) from error
    if not is_factory:
        return value, attribute
    try:
        return value(), f"{attribute}()"
    except (Exception, SystemExit) as error:
        raise failure(f"{module_name}:{attribute}() failed", error) from error


def load_from_settings(found: Found) -> tuple[Any, str, str]:
    """The application of a Django project: WSGI_APPLICATION, or Django's own when that is None."""
    try:
        from django.conf import settings  # noqa: PLC0415
    except ImportError as error:
        raise AppNotFound(
            f"{found.rule} needs Django, which this Python does not have",
            f"install it for {sys.executable}, or start Penstock from the project's virtual environment",
        ) from error
    try:
        dotted = settings.WSGI_APPLICATION
    except (Exception, SystemExit) as error:
        raise failure(
            f"Django cannot start with the settings {found.settings}", error, found.settings_origin
        ) from error
    if dotted:
        module, _, attribute = dotted.rpartition(".")
        application, attribute = import_application(module, attribute, False)
        return application, f"{module}:{attribute}", f"WSGI_APPLICATION in {found.settings}"
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    try:
        application = get_wsgi_application()
    except (Exception, SystemExit) as error:
        raise failure(
            f"Django cannot start with the settings {found.settings}", error, found.settings_origin
        ) from error
    return application, "django.core.wsgi:get_wsgi_application()", f"no WSGI_APPLICATION in {found.settings}"


def import_module(name: str) -> Any:
    """Imports a module of the application."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and is_prefix(error.name, name) and not own_frames(error):
            raise AppNotFound(f"there is no module {error.name!r}{hinted(name, error.name)}", near(error)) from error
        raise failure(f"{name} cannot be imported", error) from error


def hinted(wanted: str, missing: str | None) -> str:
    """Which import asked for the missing module, when it is only a part of the name."""
    return "" if wanted == missing else f" (for {wanted})"


def is_prefix(part: str | None, name: str) -> bool:
    """Whether the missing module is the wanted one or a package above it."""
    return part is not None and f"{name}.".startswith(f"{part}.")


def near(error: ModuleNotFoundError) -> str:
    """The hint with the most similar module that could have been meant."""
    package, _, name = (error.name or "").rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", []) if package else sys.path
    prefix = f"{package}." if package else ""
    import pkgutil  # noqa: PLC0415 (only wanted when something is wrong)

    modules = {module.name for module in pkgutil.iter_modules(path)} - sys.stdlib_module_names
    hint = nearest(f"{prefix}{name}", (prefix + module for module in modules))
    return hint or f"modules are looked for in {os.getcwd()} first; --chdir or --python-path name another directory"


def failure(what: str, error: BaseException, origin: str = "DJANGO_SETTINGS_MODULE") -> PenstockError:
    """An error of the application's own code, with the end of its own traceback.

    `origin` is who chose Django's settings module: that it is missing is said in those words.
    """
    kind = type(error)
    settings = os.environ.get(VARIABLE, "")
    if isinstance(error, ModuleNotFoundError) and is_prefix(error.name, settings):
        return AppNotFound(f"there is no settings module {settings!r} (chosen by {origin})", near(error))
    reason = f"{kind.__name__}: {error}".strip(": ")
    hint = ""
    if isinstance(error, SyntaxError):
        reason = f"{error.msg} in {shorten(error.filename or '?')}, line {error.lineno}"
    elif isinstance(error, SystemExit):
        reason = f"it called sys.exit({error.code!r})"
    elif isinstance(error, ModuleNotFoundError):
        hint = f"install it for {sys.executable}, or start Penstock from the project's virtual environment"
    elif kind.__name__ == "ImproperlyConfigured":
        reason = str(error)
        hint = (
            f"mend the settings module {settings}, or choose another with --settings"
            if settings
            else f"name the settings module with --settings, or set {VARIABLE}"
        )
    return AppFailed(f"{what}: {reason}", hint, own_traceback(error))


def own_frames(error: BaseException) -> list[Any]:
    """The frames of the application: neither ours nor those of the import system."""
    import traceback  # noqa: PLC0415 (only wanted when something is wrong)

    ours = os.path.dirname(__file__) + os.sep
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen importlib", ours))
        and os.path.basename(os.path.dirname(frame.filename)) != "importlib"
    ]


def own_traceback(error: BaseException) -> str:
    """The last frames of the application, and the exception."""
    import traceback  # noqa: PLC0415

    frames = traceback.format_list(own_frames(error)[-TRACEBACK_FRAMES:])
    return "".join([*frames, *traceback.format_exception_only(error)])


def shorten(path: str) -> str:
    """A path as a person would write it here."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir + os.sep + os.pardir) else relative
