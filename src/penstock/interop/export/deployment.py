"""What there is to export: the configuration, and what Django's settings say about files and hosts. Plain data.

Reads the project's settings, as `penstock serve` does, and runs no view of it. Refuses nothing that could be served;
what is missing for a live site is a note. The values of secrets never come in here.
"""

import json
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock import app, capacity, kinds
from penstock.config import Config, read_default
from penstock.django.adoption import Project, settings_sources
from penstock.django.discovery import url_path
from penstock.django.project import INHERITED
from penstock.errors import PenstockError, UsageError
from penstock.kinds import Listing
from penstock.secrets import MASK, show
from penstock.settings import BY_NAME, LAYERED, Setting

# Names of this machine, and of every machine.
OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "::1", ".localhost", "*"})
# A name with a hash, as ManifestStaticFilesStorage makes them.
HASHED = r"\.[0-9a-f]{12}\."
# What is no line of text: control characters, and bytes that are no UTF-8.
ODD_TEXT = r"[\x00-\x1f\x7f\ud800-\udfff]"
# Variables that say nothing about the site.
OF_EVERY_SHELL = frozenset({"HOME", "PATH", "PWD", "SHELL", "TERM", "USER"})


class Folder(NamedTuple):
    """Files below a URL."""

    url: str  # with a slash at both ends
    root: str
    max_age: int = 0  # seconds
    has_hashes: bool = False  # a name with a hash may be kept for ever


class Files(NamedTuple):
    """What Django's settings say about files, and hosts."""

    folders: list[Folder]
    hosts: list[str]
    data: list[str]  # directories that the application writes to
    notes: list[str]


class Wishes(NamedTuple):
    """What the command line asks of the export beside the settings."""

    name: str = ""  # of the site; "" for the project's own
    listen: str = ""  # where a server in front listens; "" for port 80
    files: str = "penstock"  # who serves static and media files: penstock, or the server in front
    protocol: str = "http"  # what a server in front speaks with the one behind
    image: str = ""  # the container's


class Deployment(NamedTuple):
    """A site as `penstock serve` here would serve it."""

    config: Config
    wishes: Wishes
    name: str
    directory: str  # where its processes work
    module: str
    attribute: str  # with () when it is called
    modules: list[str]  # directories to look for modules in
    settings: str  # Django's settings module; "" without Django
    variables: dict[str, str]  # what the site's processes need, without secrets
    inherited: dict[str, str]  # those of them that only this shell has set
    secrets: list[str]  # names of variables whose values are not told
    hosts: list[str]  # that the public knows, as in ALLOWED_HOSTS
    folders: list[Folder]  # static and media files, those that everybody may see
    guarded: list[Folder]  # those that only some may see
    protected: list[Folder]  # what only the application sends
    data: list[str]
    serve: list[str]  # the arguments of `penstock serve` that no file says
    notes: list[str]

    @property
    def target(self) -> str:
        """module:attribute."""
        return f"{self.module}:{self.attribute}"

    @property
    def workers(self) -> tuple[int, int]:
        """The least and the most workers: on this machine, when the configuration says auto."""
        least, _, most = str(self.config.workers).partition("..")
        cpus = capacity.count_cpus()
        low = cpus if least == "auto" else int(least)
        return low, cpus if most == "auto" else int(most or low)

    @property
    def threads(self) -> int:
        """Threads of each worker."""
        return capacity.THREADS if self.config.threads == "auto" else int(self.config.threads)

    @property
    def public_folders(self) -> list[Folder]:
        """What a server in front may serve without asking: nothing, unless it was told to."""
        return [] if self.wishes.files == "penstock" else self.folders


class Exported(NamedTuple):
    """What came of it."""

    files: dict[str, str]  # text by name
    notes: list[str] = []  # what could not be said, each a sentence  # noqa: RUF012
    steps: list[str] = []  # what to type now  # noqa: RUF012


def gather(config: Config, environment: Mapping[str, str], wishes: Wishes) -> Deployment:
    """Looks at the project, and makes this process one of the site's. Raises PenstockError."""
    real = dict(environment)
    found = app.find(config, environment)
    app.enter(found, config)
    django = read_django(found, config) if found.settings else Files([], [], [], [])
    module, attribute = application_of(found)
    folders = [Folder(url, root, int(config.static_max_age), True) for url, root in config.static.items()]
    folders += [folder for folder in django.folders if folder.url not in config.static]
    guarded = [folder for folder in folders if is_guarded(folder.url, config)]
    refuse_path(config, wishes)
    variables, inherited, secrets = variables_of(found, config, real)
    odd = sorted(name for name, value in (variables | inherited).items() if re.search(ODD_TEXT, value))
    for name in odd:
        django.notes.append(
            f"{name} is not written, because there are line breaks or other bytes in it that are no text: "
            "set it there yourself"
        )
        variables.pop(name, None)
        inherited.pop(name, None)
    refuse_odd_urls([folder.url for folder in folders] + [*config.protected, *config.mounts])
    refuse_odd_urls([guard["path"] for guard in config.auth])
    refuse_odd_names([found.directory, *(folder.root for folder in folders), *config.protected.values()])
    refuse_odd_names([*django.data, *places_of(config)])
    return Deployment(
        config=config,
        wishes=wishes,
        name=wishes.name or name_of(found, module, config.site),
        directory=found.directory,
        module=module,
        attribute=attribute,
        modules=[*config.python_path, found.path],
        settings=found.settings,
        variables=variables | inherited,
        inherited=inherited,
        secrets=secrets,
        hosts=list(config.hosts) or [host for host in django.hosts if host not in OWN_HOSTS],
        folders=[folder for folder in folders if folder not in guarded],
        guarded=guarded,
        protected=[Folder(url, root) for url, root in config.protected.items()],
        data=django.data,
        serve=[
            *([f"--settings={found.settings}"] if found.settings_origin == INHERITED else []),
            *serve_words(config, found.directory),
        ],
        notes=django.notes,
    )


def refuse_path(config: Config, wishes: Wishes) -> None:
    """UsageError when files of a site below a path were to be found where the site itself is not."""
    if config.path != "/" and wishes.files == "proxy":
        raise UsageError(
            f"{config.site} answers below {config.path} only, and --files proxy is for a whole host",
            "leave the files to Penstock, or give the site a host of its own",
        )


def refuse_odd_names(paths: list[str]) -> None:
    """PenstockError for a directory that not every program can be told."""
    for path in paths:
        if re.search(ODD_TEXT + r"""|["'\\${}%#;]""", path):
            raise PenstockError(
                f"the name {path!r} means something else in other programs' files",
                "choose a directory without quotes, backslashes and the signs $ % # ; { }",
            )


def refuse_odd_urls(urls: list[str]) -> None:
    """PenstockError for a path of the site that is a pattern, or two words, in other programs' files."""
    for url in urls:
        if re.search(ODD_TEXT + r"""|[\s"'\\${}%#;*?\[\]<>^|`]|//""", url):
            raise PenstockError(
                f"the path {url!r} means something else in other programs' files",
                "choose one of letters, digits and the signs - _ . ~ @ : + , = ! & ( )",
            )


def places_of(config: Config) -> list[str]:
    """The files that the configuration names, without those that stand for something else."""
    files = [config.access_log, config.error_log, config.pid_file, config.temp_dir, config.venv]
    files += [guard["provider"].removeprefix("htpasswd:") for guard in config.auth]
    files += [one.removeprefix("uwsgi:").removeprefix("unix:") for one in config.bind]
    return [file for file in files if file.startswith("/")]


def application_of(found: app.Found) -> tuple[str, str]:
    """The module and the attribute that any server could be told. Imports a module to see which name it has."""
    if found.module:
        attribute = found.attribute or app.import_application(found.module, "", False)[1]
        return found.module, attribute + ("()" if found.is_factory else "")
    from django.conf import settings  # noqa: PLC0415 (only with Django)

    if not settings.WSGI_APPLICATION:
        return "django.core.wsgi", "get_wsgi_application()"
    module, _, attribute = settings.WSGI_APPLICATION.rpartition(".")
    return module, attribute


def name_of(found: app.Found, module: str, site: str) -> str:
    """The project's own name, or that of one of several sites, as a file may be called."""
    package = site or (found.settings or module).partition(".")[0]
    name = package if package not in ("django", "config", "settings", "wsgi") else os.path.basename(found.directory)
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "site"


def variables_of(
    found: app.Found, config: Config, real: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The variables that the project is given here, those of the shell, and the names of secret ones.

    To the last belong those that the settings read and that sound secret, whoever sets them.
    """
    shown = {name: variable.show(name) for name, variable in found.variables.items()}
    plain = {name: value for name, value in shown.items() if value == found.variables[name].value}
    secrets = {*config.secrets, *(name for name in shown if name not in plain)}
    sources = settings_sources(Project(Path(found.directory), found.settings)) if found.settings else {}
    read = {variable.name for source in sources.values() for variable in source.variables()} - OF_EVERY_SHELL
    secrets |= {name for name in read if is_secret(name)}
    inherited = {name: real[name] for name in sorted(read - secrets - set(plain)) if name in real}
    # A value may be secret by what it looks like, as a URL with a password in it is.
    secrets |= {name for name, value in inherited.items() if show(name, value) != value}
    return plain, {name: value for name, value in inherited.items() if name not in secrets}, sorted(secrets)


def is_secret(name: str) -> bool:
    """Whether the value of a variable of this name would be masked."""
    return show(name, "a value of some length") == MASK


def read_django(found: app.Found, config: Config) -> Files:
    """What Django's settings say. Raises PenstockError when they cannot be read."""
    try:
        from django.conf import settings  # noqa: PLC0415 (only with Django)

        hosts, debug = list(settings.ALLOWED_HOSTS), settings.DEBUG
    except (Exception, SystemExit) as error:
        raise app.failure(
            f"Django cannot start with the settings {found.settings}", error, found.settings_origin
        ) from error
    folders, notes = [], []
    if debug:
        notes.append(f"DEBUG is on in {found.settings}: export with the settings of the live site (--settings, --env)")
    static, media = url_path(settings.STATIC_URL), url_path(settings.MEDIA_URL)
    wants_files = config.django_static == "auto"
    if wants_files and static not in (None, "/"):
        if settings.STATIC_ROOT:
            root = os.path.abspath(settings.STATIC_ROOT)
            folders.append(Folder(static, root, int(config.static_max_age), True))
        else:
            notes.append(f"STATIC_ROOT is not set, so nobody serves {static}: set it, and run collectstatic")
    data = []
    if settings.MEDIA_ROOT:
        data.append(os.path.abspath(settings.MEDIA_ROOT))
        if wants_files and media not in (None, "/"):
            folders.append(Folder(media, data[0], int(config.static_max_age)))
    for database in settings.DATABASES.values():
        name = str(database.get("NAME") or ":memory:")
        if str(database.get("ENGINE", "")).endswith("sqlite3") and not name.startswith((":memory:", "file:")):
            data.append(os.path.dirname(os.path.abspath(name)))
    return Files(folders, hosts, sorted(set(data)), notes)


def is_guarded(url: str, config: Config) -> bool:
    """Whether only some clients may see what is below a URL of the host, or below a part of it."""
    if config.allow or config.deny:
        return True
    places = [place for guard in config.auth for place in (guard["path"], *public_paths(guard["path"], config))]
    paths = [place.rstrip("/") + "/" for place in places]
    return any(url.startswith(path) or path.startswith(url) for path in paths)


def public_paths(path: str, config: Config) -> list[str]:
    """Where a rule about a path holds on the host: a site below a path is asked with that path, and without it."""
    site = config.path.rstrip("/")
    found = [site + path if path != "/" else site or "/"]
    if site and f"{path}/".startswith(f"{site}/"):
        found.append(path)
    elif site.startswith(f"{path}/"):
        found.append(site)
    return found


def serve_words(config: Config, directory: str) -> Iterator[str]:
    """What `penstock serve` must be told in `directory` to be the same: what came by flag or by variable.

    One of several sites is told all: there it is the only one.
    """
    is_there = config.file in [os.path.join(home, "penstock.toml") for home in (config.directory, directory)]
    if config.site and is_there:
        yield f"--site={config.site}"
    elif config.file and not is_there and not config.site:
        yield f"--config={config.file}"
    for setting in LAYERED:
        origin = config.origin(setting.name)
        origins = (setting.flag, setting.variable, setting.also)
        is_left = not is_chosen(config, setting.name) if config.site and not is_there else origin not in origins
        if setting.name == "chdir" or is_left:
            continue
        value = config.values[setting.name].value
        if isinstance(value, bool):
            yield setting.flag if value else setting.flag.replace("--", "--no-", 1)
            continue
        for text in texts(setting, value):
            # Relative to where it works, so that it works wherever the project is put.
            shown = relative(setting, text, directory)
            yield shown if setting.name == "app" else f"{setting.flag}={shown}"


def relative(setting: Setting, text: str, directory: str) -> str:
    """A word with its paths as seen from the directory; URLs, commands and variables may only look like one."""
    place = re.escape(directory.rstrip("/"))
    return re.sub(f"({before_path(setting)}){place}/", r"\1", text) if before_path(setting) else text


def before_path(setting: Setting) -> str:
    """A pattern of what stands before a path in the words of a setting; "" where no path stands."""
    if setting.name == "app":
        return "^"
    match setting.kind.item if isinstance(setting.kind, Listing) else setting.kind:
        case kinds.Folders():
            return "="
        case kinds.Address():
            return "^(?:uwsgi:)?unix:"
        case kinds.Path() | kinds.LogConfig() | kinds.Peer() | kinds.Processes():
            return "^"
        case kinds.Tables():
            return "htpasswd:"
    return ""


def texts(setting: Setting, value: Any) -> list[str]:
    """The value as the words of its flag; without the secret ones."""
    if isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values()):
        shown = setting.kind.disclose(value)
        return [f"{name}={text}" for name, text in value.items() if shown[name] == text]
    if isinstance(setting.kind, Listing):
        return [setting.kind.item.show(item) for item in value]
    if isinstance(value, list | Mapping):
        return [json.dumps(without_secrets(value, setting.kind.disclose(value)))]
    return [setting.kind.show(value)]


def without_secrets(value: Any, shown: Any) -> Any:
    """A value without the entries, at any depth, that are not shown to everybody."""
    if isinstance(value, Mapping):
        inner = {name: without_secrets(part, shown[name]) for name, part in value.items()}
        return {name: part for name, part in inner.items() if isinstance(part, list | Mapping) or part == shown[name]}
    if isinstance(value, list):
        return [without_secrets(part, seen) for part, seen in zip(value, shown, strict=True)]
    return value


def is_uwsgi(bind: str) -> bool:
    """Whether the uwsgi protocol is spoken at an address."""
    return bind.startswith("uwsgi:")


def is_chosen(config: Config, name: str) -> bool:
    """Whether somebody has made a setting something else than its default."""
    return config.origin(name) != "default" and bool(config.values[name].value != read_default(BY_NAME[name]))


def site_notes(deployment: Deployment, who: str) -> list[str]:
    """What a server that has one site does not know of several."""
    config = deployment.config
    if not config.site:
        return []
    hosts = "what no other site names" if config.default else ", ".join(config.hosts) or "its hosts"
    address = ", ".join(config.bind)
    return [
        f"bind: {who} cannot tell sites apart, so a server in front has to pass {hosts} to {address}",
        *demand_notes(deployment),
    ]


def demand_notes(deployment: Deployment) -> list[str]:
    """What only the parent of several sites does."""
    return ["on_demand: the site runs all the time there"] if deployment.config.on_demand else []


def alone_notes(deployment: Deployment) -> list[str]:
    """What one of several sites is not, when `penstock serve` has it alone."""
    config = deployment.config
    if not config.site or f"--site={config.site}" in deployment.serve:
        return []
    told = demand_notes(deployment)
    if config.path != "/":
        told.append(
            f"path: alone it answers below / and not {config.path}: what is in front takes {config.path} off, and "
            "Django's FORCE_SCRIPT_NAME names it"
        )
    return told


def rounded(deployment: Deployment, names: Collection[str], unit: int = 1, called: str = "seconds") -> list[str]:
    """A sentence for each setting that another server can only be told in whole units; it gets the next one."""
    config = deployment.config
    return [
        f"{name}: whole {called} there, so {BY_NAME[name].kind.show(config.values[name].value)} becomes "
        f"{math.ceil(config.values[name].value / unit)}"
        for name in names
        if config.values[name].value % unit
    ]


def unsaid(deployment: Deployment, said: Collection[str], who: str) -> list[str]:
    """A sentence for each setting that somebody has chosen, and that another server knows nothing of.

    `said` names the settings that the export carries over, or explains itself.
    """
    config = deployment.config
    notes = []
    for setting in LAYERED:
        if setting.name not in said and setting.name not in ELSEWHERE and is_chosen(config, setting.name):
            reason = REASONS.get(setting.name, setting.help[0].lower() + setting.help[1:])
            notes.append(f"{setting.name} ({config.origin(setting.name)}) has no counterpart in {who}: {reason}")
    return notes


# What says how the project is found, is carried by every export.
ELSEWHERE = frozenset({"app", "chdir", "settings", "env", "environment", "secrets"})
# What is lost, where the setting's own help would not tell.
REASONS = {
    "queue_timeout": "a request waits for a thread as long as its client does",
    "queue_size": "connections wait in the backlog instead, where no limit answers 503",
    "timeout_grace": "who is stuck is killed at once",
    "auth": "nobody asks for a password there: guard these paths in the server in front, or in Django",
    "allow": "the server in front must refuse the others",
    "deny": "the server in front must refuse these",
    "protected": "a view's own body is sent, so it must have one",
    "health_path": "a view of the application has to answer it",
    "probe": "a reload takes the new code as soon as it can be imported",
    "middleware": "wrap the application in wsgi.py",
    "mounts": "combine the applications in wsgi.py",
    "control": "signals do what the commands of Penstock did",
    "keep_previous": "there is no rollback: put the old code back, and reload",
    "admin_bind": "health and metrics need something else beside it",
    "static": "a server in front, or WhiteNoise, has to serve files",
    "min_body_rate": "a slow client keeps what serves it busy: keep a server in front",
}
