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

from penstock.config import DJANGO_ENV, Config, find_above
from penstock.django.project import (
    VARIABLE,
    Choice,
    doubts,
    is_manage,
    mentions,
    settings_choices,
    settings_files,
)
from penstock.django.second_project import is_importable, refuse_second_project, running_settings
from penstock.env_files import Variable
from penstock.environment import gather
from penstock.errors import AppFailed, AppNotFound, ConfigurationError, PenstockError, UsageError, nearest
from penstock.secrets import concealed

TARGET = re.compile(r"(?P<module>[^:()]+)(?::(?P<attribute>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<call>\(\))?)?")
FORMS = "module, module:attribute, module:factory(), or a path to a .py or .wsgi file (with :attribute if need be)"
ATTRIBUTES = ("application", "app")  # the names that PEP 3333's users agree on
TRACEBACK_FRAMES = 6  # the ones next to the mistake; the others are the way to it
NOBODY = Choice("", "")

Application = Callable[..., Any]


class Found(NamedTuple):
    """Where the application is, and by which rule it was chosen."""

    module: str  # "" when Django's settings decide
    attribute: str  # "" for the usual names
    is_factory: bool
    path: str  # goes first on sys.path
    directory: str  # the working directory of the site's processes
    rule: str
    choices: list[Choice]  # who names a Django settings module; the first one decides
    variables: dict[str, Variable]  # to add to the environment
    warnings: list[str]

    @property
    def settings(self) -> str:
        """Django's settings module, "" when unknown or none."""
        return self.choices[0].module if self.choices else ""

    @property
    def settings_origin(self) -> str:
        """Who chose it."""
        return self.choices[0].origin if self.choices else ""


class Loaded(NamedTuple):
    """The application, ready to be called."""

    application: Application
    name: str  # module:attribute
    rule: str
    uses_django: bool
    settings: Choice  # the module that Django runs with; "" without Django
    warnings: list[str]


def find(config: Config, environment: Mapping[str, str]) -> Found:
    """Looks for the application by the rules of the command line. AppNotFound lists what was tried."""
    start = config.directory
    if config.app:
        return find_named(config, environment, start)
    tried = []
    manage = find_above(start, "manage.py")
    if manage and is_manage(manage):
        directory = os.path.dirname(manage)
        around = look_around(config, environment, directory, [manage, *sorted(glob.glob(f"{directory}/*/wsgi.py"))])
        if around.choices:
            return Found("", "", False, directory, directory, f"{shorten(manage)}", *around)
        tried.append(f"{shorten(manage)} names no settings module in plain words")
    else:
        tried.append("there is no manage.py of Django here or above")
    modules = sorted(glob.glob(os.path.join(start, "*", "wsgi.py")))
    if len(modules) == 1:
        module = os.path.basename(os.path.dirname(modules[0])) + ".wsgi"
        around = look_around(config, environment, start, modules)
        return Found(module, "", False, start, start, "the only */wsgi.py here", *around)
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
    if names_script(module, start):
        module = source = existing(os.path.join(start, module), config)
    elif module.endswith(".py") or os.sep in module:
        module, path = module_of(os.path.join(start, module), config)
        source = os.path.join(path, *module.split(".")) + ".py"
    else:
        if not all(part.isidentifier() or "-" in part for part in module.split(".")):
            raise UsageError(f"{module!r} ({config.origin('app')}) is not the name of a module", f"write {FORMS}")
        source = os.path.join(start, *module.split(".")) + ".py"
    around = look_around(config, environment, path, [source])
    call = bool(match["call"])
    return Found(module, match["attribute"] or "", call, path, start, config.origin("app"), *around)


def module_of(path: str, config: Config) -> tuple[str, str]:
    """The dotted name of the module in a file, and the directory to import it from: the first that is no package."""
    directory, name = os.path.split(existing(path, config))
    parts = [name.removesuffix(".py")]
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, name = os.path.split(directory)
        parts.insert(0, name)
    # A package without __init__.py, beside manage.py.
    if len(parts) == 1 and os.path.isfile(os.path.join(os.path.dirname(directory), "manage.py")):
        directory, name = os.path.split(directory)
        parts.insert(0, name)
    return ".".join(parts), directory


def names_script(target: str, directory: str) -> bool:
    """Whether a target is a file as mod_wsgi has them; where there is a package shop, shop.wsgi is its module."""
    package = os.path.join(directory, target.removesuffix(".wsgi"))
    is_here = os.path.isfile(os.path.join(directory, target)) and not os.path.isdir(package)
    return target.endswith(".wsgi") and (os.sep in target or is_here)


def is_script(module: str) -> bool:
    """Whether a module is a file that is run by its path."""
    return os.path.isabs(module)


def existing(path: str, config: Config) -> str:
    """The path of a file that TARGET names. AppNotFound when there is none."""
    path = os.path.normpath(path)
    if not os.path.isfile(path):
        directory, ending = os.path.dirname(path), os.path.splitext(path)[1]
        others = [name for name in os.listdir(directory) if name.endswith(ending)] if os.path.isdir(directory) else []
        raise AppNotFound(
            f"there is no file {shorten(path)} ({config.origin('app')})", nearest(os.path.basename(path), others)
        )
    return path


class Surroundings(NamedTuple):
    """What is found around the application; the last fields of Found."""

    choices: list[Choice]
    variables: dict[str, Variable]
    warnings: list[str]


def look_around(config: Config, environment: Mapping[str, str], directory: str, sources: list[str]) -> Surroundings:
    """The variables of the site, and the settings module of a Django project in `directory`.

    `sources` are the manage.py and wsgi.py to fall back to. Raises ConfigurationError.
    """
    variables = gather(config, environment, directory)
    setting = Choice(config.settings, config.origin("settings"))
    choices = settings_choices(setting, environment, variables, {shorten(path): path for path in sources})
    chosen = choices[0] if choices else NOBODY
    refuse_unknown_env(config, directory, [*sources, *settings_files(directory, chosen.module)])
    if choices:
        variables[VARIABLE] = Variable(chosen.module, chosen.origin)
    return Surroundings(choices, variables, doubts(choices, directory))


def refuse_unknown_env(config: Config, directory: str, readers: list[str]) -> None:
    """A --env that nothing here knows is a slip: the site would run with another one's settings."""
    if not config.env or config.origin("env").startswith(DJANGO_ENV) or config.env in config.environments:
        return
    files = {os.path.basename(path).removeprefix(".env.") for path in glob.glob(os.path.join(directory, ".env.*"))}
    if config.env in files or any(mentions(path, DJANGO_ENV) for path in readers):
        return
    raise ConfigurationError(
        f"nothing here knows the environment {config.env!r} ({config.origin('env')})",
        nearest(config.env, {*files, *config.environments})
        or f"write a file .env.{config.env}, or a table [env.{config.env}.site] in penstock.toml",
        f"  - there is no file .env.{config.env} in {directory}\n"
        f"  - there is no [env.{config.env}] in penstock.toml\n"
        f"  - neither manage.py nor wsgi.py nor the settings read {DJANGO_ENV}",
    )


def load(found: Found, config: Config) -> Loaded:
    """Sets up this process for the application and imports it.

    Raises AppNotFound, AppFailed, or ConfigurationError when it brings a second Django project.
    """
    enter(found, config)
    before = set(sys.modules)
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
    module = name.partition(":")[0]
    # That the application itself wants other settings than those that were chosen is only a warning.
    refuse_second_project("", before | {module}, name)
    uses_django = "django.conf" in sys.modules
    chosen = Choice(found.settings, found.settings_origin)
    running = Choice(running_settings(), f"set by {module}") if uses_django else NOBODY
    if running.module == chosen.module:
        return Loaded(application, name, rule, uses_django, chosen, found.warnings)
    warnings = [*found.warnings]
    if running.module and chosen.module:
        reason = f"{module} sets {VARIABLE} to {running.module}, whatever it was: use os.environ.setdefault there"
        warnings.append(f"{chosen.module} ({chosen.origin}) has no effect, because {reason}")
    return Loaded(application, name, rule, uses_django, running, warnings)


def enter(found: Found, config: Config) -> None:
    """Gives this process the application's variables, directory and module path.

    Raises AppNotFound when the settings module seems to be another project's, and is not even here.
    """
    concealed.add((name, variable.value, variable.is_secret) for name, variable in found.variables.items())
    os.environ.update({name: variable.value for name, variable in found.variables.items()})
    os.chdir(found.directory)
    sys.path[:0] = [path for path in (*config.python_path, found.path) if path not in sys.path]
    if found.warnings and not is_importable(found.choices[0].package):
        raise AppNotFound(
            f"there is no settings module {found.settings!r} (chosen by {found.settings_origin})",
            "; ".join(found.warnings),
        )


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
    """Imports a module of the application, or runs its script."""
    if is_script(name):
        from penstock.gateway.scripts import import_file  # noqa: PLC0415 (few applications are scripts)

        return import_file(name)
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
    reason = concealed.mask(f"{kind.__name__}: {error}".strip(": "))
    hint = ""
    if isinstance(error, SyntaxError):
        reason = f"{error.msg} in {shorten(error.filename or '?')}, line {error.lineno}"
    elif isinstance(error, SystemExit):
        reason = concealed.mask(f"it called sys.exit({error.code!r})")
    elif isinstance(error, ModuleNotFoundError):
        hint = f"install it for {sys.executable}, or start Penstock from the project's virtual environment"
    elif kind.__name__ == "ImproperlyConfigured":
        reason = concealed.mask(str(error))
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
    """The last frames of the application, without those of installed packages on the way to it, and the exception."""
    import traceback  # noqa: PLC0415

    frames = own_frames(error)
    first = next((number for number, frame in enumerate(frames) if not is_installed(frame.filename)), 0)
    shown = traceback.format_list(frames[first:][-TRACEBACK_FRAMES:])
    return concealed.mask("".join([*shown, *traceback.format_exception_only(error)]))


def is_installed(path: str) -> bool:
    """Whether a file belongs to a package that pip or the system has installed."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))


def shorten(path: str) -> str:
    """A path as a person would write it here."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir + os.sep + os.pardir) else relative
