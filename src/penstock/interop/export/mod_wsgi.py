"""An Apache site with mod_wsgi in daemon mode: the application, the files, and HTTP Basic against Django's users.

The WSGI file sets the variables that Apache cannot give a daemon process. What only some may see keeps its guard, also
where Apache serves the file itself.
"""

import json
import math
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

from penstock.app import is_script
from penstock.interop.export.deployment import (
    HASHED,
    Deployment,
    Exported,
    Folder,
    demand_notes,
    is_chosen,
    is_uwsgi,
    public_paths,
    rounded,
    unsaid,
)

# The settings that it carries over, or has a note for.
SAID = """
bind backlog workers threads timeout graceful_timeout queue_timeout boot_timeout max_requests max_lifetime max_body
max_request_line max_fields keep_alive_timeout user group umask nice limit_memory venv python_path static
static_max_age auth allow deny access_log access_log_format error_log log_level forwarded_allow mounts
"""
# What it counts in whole seconds.
SECONDS = (
    *("timeout", "graceful_timeout", "queue_timeout", "boot_timeout", "max_lifetime", "keep_alive_timeout"),
    "static_max_age",
)
# What Penstock reads, too, from those whom it believes.
FORWARDED = "X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host"
# Where Apache has another word.
LEVELS = {"warning": "warn"}
LIMITS = (
    ("LimitRequestLine", "max_request_line"),
    ("LimitRequestFields", "max_fields"),
    ("KeepAliveTimeout", "keep_alive_timeout"),
)


def export(deployment: Deployment) -> Exported:
    """The site, its WSGI file and, where there are passwords, the file that knows Django's users."""
    name = deployment.name
    files = {f"{name}.conf": site(deployment), f"{name}.wsgi": script(deployment, deployment.target)}
    for url, target in deployment.config.mounts.items():
        files[script_of(deployment, url)] = script(deployment, target)
    if asks_django(deployment):
        files[f"{name}-users.wsgi"] = users_script(deployment)
    return Exported(
        files,
        [
            *notes(deployment),
            *rounded(deployment, SECONDS),
            *unsaid(deployment, SAID.split(), "mod_wsgi"),
        ],
        [
            f"put {', '.join(sorted(set(files) - {f'{name}.conf'}))} into {deployment.directory}",
            f"put {name}.conf into /etc/apache2/sites-available",
            f"a2enmod wsgi headers && a2ensite {name} && apache2ctl -t && systemctl reload apache2",
        ],
    )


def site(deployment: Deployment) -> str:
    """The virtual host."""
    listen = deployment.wishes.listen or "80"
    host = listen if ":" in listen else f"*:{listen}"
    body = "\n".join(f"    {line}" if line else "" for line in virtual_host(deployment))
    return f"<VirtualHost {host}>\n{body}\n</VirtualHost>\n"


def virtual_host(deployment: Deployment) -> Iterator[str]:
    """Its lines."""
    config, name = deployment.config, deployment.name
    yield from server_names(deployment)
    if config.access_log:
        yield f'CustomLog "{"/dev/stdout" if config.access_log == "-" else config.access_log}" combined'
    if is_chosen(config, "error_log"):
        yield f'ErrorLog "{config.error_log}"'
    if is_chosen(config, "log_level"):
        yield f"LogLevel {LEVELS.get(config.log_level, config.log_level)}"
    for directive, setting in LIMITS:
        if is_chosen(config, setting):
            yield f"{directive} {math.ceil(config.values[setting].value)}"
    yield f"LimitRequestBody {max(1, config.max_body)}"  # 0 is no limit there
    # The application sees encoded and doubled slashes as the client wrote them.
    yield "AllowEncodedSlashes On"
    yield "MergeSlashes Off"
    yield ""
    yield f"WSGIDaemonProcess {name} {' '.join(daemon_options(deployment))}"
    # Apache takes the first that fits: the longest path comes first.
    for url in [*sorted(config.mounts, key=len, reverse=True), "/"]:
        path = os.path.join(deployment.directory, script_of(deployment, url))
        place = url if config.path == "/" else config.path + url.rstrip("/")
        yield f'WSGIScriptAlias {place} "{path}" process-group={name} application-group=%{{GLOBAL}}'
    yield "WSGIPassAuthorization On"
    if peers := proxies(deployment):
        yield f"WSGITrustedProxies {' '.join(peers)}"
        yield f"WSGITrustedProxyHeaders {FORWARDED}"
    yield f'<Directory "{deployment.directory}">'
    for url in ["/", *config.mounts]:
        yield f'    <Files "{script_of(deployment, url)}">'
        yield "        Require all granted"
        yield "    </Files>"
    yield "</Directory>"
    for folder in (*deployment.folders, *deployment.guarded):
        yield from alias(folder)
    if config.allow or config.deny:
        yield ""
        yield '<Location "/">'
        yield "    AuthMerging Off"
        yield from (f"    {line}" for line in require_all(addresses(config.allow, config.deny)))
        yield "</Location>"
    # Where several match, Apache takes the last: the longest path comes last.
    places = [(place, guard) for guard in config.auth for place in public_paths(guard["path"], config)]
    for place, guard in sorted(places, key=lambda one: len(one[0])):
        yield from location(deployment, place, guard)
    yield from dotfiles([*deployment.folders, *deployment.guarded])


def script_of(deployment: Deployment, url: str) -> str:
    """The name of the WSGI file for what is served at a URL."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", url).strip("-")
    return f"{deployment.name}{f'-{words}' if words else ''}.wsgi"


def proxies(deployment: Deployment) -> list[str]:
    """Whose forwarded fields mod_wsgi believes: addresses and networks."""
    return [peer for peer in deployment.config.forwarded_allow if re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]+)?", peer)]


def server_names(deployment: Deployment) -> Iterator[str]:
    """The hosts that the public knows."""
    names = ["*" + host if host.startswith(".") else host for host in deployment.hosts]
    first = next((one for one in names if "*" not in one), names[0].lstrip("*.") if names else "")
    yield f"ServerName {first}" if first else "# ServerName example.com: ALLOWED_HOSTS names no public host"
    for other in names:
        if other != first:
            yield f"ServerAlias {other}"


def daemon_options(deployment: Deployment) -> Iterator[str]:
    """How the application's processes run."""
    config = deployment.config
    yield f"processes={deployment.workers[1]}"
    yield f"threads={deployment.threads}"
    yield f'home="{deployment.directory}"'
    paths = [path for path in dict.fromkeys(deployment.modules) if path]
    if config.venv and (config.venv != sys.prefix or is_systems_python()):
        yield f'python-home="{config.venv}"'
    elif sys.prefix != sys.base_prefix:
        if is_systems_python():
            yield f'python-home="{sys.prefix}"'
        else:
            paths.append(sysconfig.get_path("purelib"))
    yield f'python-path="{":".join(paths)}"'
    if config.user:
        yield f"user={config.user}"
    if config.group:
        yield f"group={config.group}"
    if config.umask:
        yield f"umask=0{config.umask}"
    yield "display-name=%{GROUP}"
    yield "lang=C.UTF-8 locale=C.UTF-8"
    yield f"listen-backlog={config.backlog}"
    yield from queue_timeout(deployment)
    yield f"request-timeout={math.ceil(config.timeout)}"
    if config.max_requests:
        yield f"maximum-requests={config.max_requests}"
    if config.max_lifetime:
        yield f"restart-interval={math.ceil(config.max_lifetime)}"
    if is_chosen(config, "boot_timeout"):
        yield f"startup-timeout={math.ceil(config.boot_timeout)}"
    if config.nice:
        yield f"cpu-priority={config.nice}"
    if config.limit_memory:
        yield f"virtual-memory-limit={config.limit_memory}"
    yield f"graceful-timeout={math.ceil(config.graceful_timeout)}"


def queue_timeout(deployment: Deployment) -> list[str]:
    """The time is counted from the head of a request, also while Apache loads Django for its password."""
    config = deployment.config
    is_written = is_chosen(config, "queue_timeout") or not asks_django(deployment)
    return [f"queue-timeout={math.ceil(config.queue_timeout)}"] if is_written else []


def asks_django(deployment: Deployment) -> bool:
    """Whether Apache's own processes load the project for its users."""
    return any(guard["provider"] == "django" for guard in deployment.config.auth)


def is_systems_python() -> bool:
    """Whether the virtual environment is one of the Python that Debian's mod_wsgi is linked to."""
    return sys.base_prefix == "/usr"


def alias(folder: Folder) -> Iterator[str]:
    """Files that Apache serves itself. The guard of a location is above what is granted here."""
    yield ""
    yield f'Alias "{folder.url}" "{folder.root}/"'
    yield f'<Directory "{folder.root}">'
    yield "    Options None"
    yield "    AllowOverride None"
    yield "    Require all granted"
    yield "    <IfModule headers_module>"
    yield f'        Header set Cache-Control "max-age={folder.max_age}"'
    if folder.has_hashes:
        yield f'        <FilesMatch "{HASHED}">'
        yield '            Header set Cache-Control "public, max-age=31536000, immutable"'
        yield "        </FilesMatch>"
    yield "    </IfModule>"
    yield "</Directory>"


def dotfiles(folders: list[Folder]) -> Iterator[str]:
    """Nobody sees a name that begins with a dot. Apache takes the last rule that matches, so this comes last."""
    if folders:
        yield ""
        # A slash that was encoded may stand beside each other one.
        urls = "|".join(re.escape(folder.url).replace("/", "/+") for folder in folders)
        yield f'<LocationMatch "^({urls})(.*/)?\\.">'
        yield "    AuthMerging Off"
        yield "    Require all denied"
        yield "</LocationMatch>"


def location(deployment: Deployment, place: str, guard: dict[str, Any]) -> Iterator[str]:
    """Who may come in below a path of the host."""
    config = deployment.config
    yield ""
    yield f'<Location "{place}">'
    # Each of both lists of allow has to have the client in it.
    rules = addresses(config.allow, [*config.deny, *guard["deny"]]) + addresses(guard["allow"], [])
    if guard["provider"] != "none":
        if not guard["over_http"]:
            yield "    SSLRequireSSL"
        yield "    AuthType Basic"
        yield f'    AuthName "{guard["realm"]}"'
        yield from (f"    {line}" for line in provider(deployment, guard["provider"]))
        rules += people(guard)
        # A right password that is not enough gets 403, as from Penstock, and no second question.
        yield "    AuthzSendForbiddenOnFailure On"
    yield "    AuthMerging Off"
    yield from (f"    {line}" for line in require_all(rules))
    yield "</Location>"


def provider(deployment: Deployment, name: str) -> Iterator[str]:
    """Who knows the passwords, and the groups."""
    kind, _, file = name.partition(":")
    if kind == "htpasswd":
        yield "AuthBasicProvider file"
        yield f'AuthUserFile "{file}"'
        return
    path = os.path.join(deployment.directory, f"{deployment.name}-users.wsgi") if name == "django" else name
    yield "AuthBasicProvider wsgi"
    yield f'WSGIAuthUserScript "{path}" application-group={deployment.name}-users'
    yield f'WSGIAuthGroupScript "{path}" application-group={deployment.name}-users'


def people(guard: dict[str, Any]) -> list[str]:
    """The rules about users and groups."""
    users = [f"Require user {' '.join(quoted(guard['users']))}"] if guard["users"] else []
    groups = [f"Require wsgi-group {' '.join(quoted([group]))}" for group in guard["groups"]]
    if not users and not groups:
        return ["Require valid-user"]
    if guard["require"] == "all" or len(users + groups) == 1:
        return users + groups
    return ["<RequireAny>", *(f"    {line}" for line in users + groups), "</RequireAny>"]


def quoted(names: list[str]) -> list[str]:
    """Names that Apache reads as one word each."""
    return [name if re.fullmatch(r"[\w.@+-]+", name) else json.dumps(name, ensure_ascii=False) for name in names]


def addresses(allow: list[str], deny: list[str]) -> list[str]:
    """The rules about clients; functions and unix sockets are said in the notes."""
    allowed = [peer for peer in allow if is_address(peer)]
    # Where none of them can be said, nobody comes in.
    lines = [f"Require ip {' '.join(allowed)}" if allowed else "Require all denied"] if allow else []
    denied = [f"    Require not ip {peer}" for peer in deny if is_address(peer)]
    return lines + (["<RequireAll>", "    Require all granted", *denied, "</RequireAll>"] if denied else [])


def is_address(peer: str) -> bool:
    """Whether it is a network, and neither a function nor every unix socket."""
    return re.fullmatch(r"[0-9A-Fa-f.:]+/[0-9]+", peer) is not None


def require_all(rules: list[str]) -> list[str]:
    """All of the rules."""
    return ["<RequireAll>", *(f"    {line}" for line in rules or ["Require all granted"]), "</RequireAll>"]


def script(deployment: Deployment, target: str) -> str:
    """A WSGI file: the variables, then an application. Of a module alone it takes the name that is there."""
    module, _, attribute = target.partition(":")
    name, *inner = attribute.removesuffix("()").split(".")
    if is_script(module):
        lines = f"exec(compile(open({json.dumps(module)}).read(), {json.dumps(module)}, 'exec'))\n"
        lines += "" if attribute == "application" else f"application = {attribute}\n"
    elif not name:
        lines = f"import {module} as module  # noqa: E402\n\n"
        lines += 'application = getattr(module, "application", None) or module.app\n'
    elif inner or attribute.endswith("()"):
        lines = f"from {module} import {name}  # noqa: E402\n\napplication = {attribute}\n"
    else:
        alias = "" if name == "application" else " as application"
        lines = f"from {module} import {name}{alias}  # noqa: E402, F401\n"
    return (
        f'"""What Apache calls for {deployment.name}. It was made by `penstock export mod_wsgi`."""\n\n'
        f"{preamble(deployment)}{lines}"
    )


def users_script(deployment: Deployment) -> str:
    """Django's users and groups. Apache runs it in its own processes, so it finds the project by itself."""
    paths = [path for path in dict.fromkeys(deployment.modules) if path]
    places = "".join(f"sys.path.insert(0, {json.dumps(path)})\n" for path in paths)
    return (
        f'"""Who may come in at {deployment.name}: Django\'s users and groups."""\n\n'
        "import site\nimport sys\n\n"
        f"{places}"
        f"site.addsitedir({json.dumps(sysconfig.get_path('purelib'))})\n\n"
        f"{preamble(deployment)}"
        "import django  # noqa: E402\n\n"
        "django.setup()\n\n"
        "from django.contrib.auth.handlers.modwsgi import check_password, groups_for_user  # noqa: E402, F401\n"
    )


def preamble(deployment: Deployment) -> str:
    """The lines that set variables."""
    lines = "".join(
        f"os.environ[{json.dumps(name)}] = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in deployment.variables.items()
    )
    return f"import os\n\n{lines}\n" if lines else ""


def notes(deployment: Deployment) -> list[str]:
    """What means something else there."""
    config = deployment.config
    told = ["bind: Apache listens where its own Listen lines say", *demand_notes(deployment)]
    if config.default:
        told.append("default: the virtual host that Apache reads first answers for all others: name its file 000-…")
    if config.workers == "auto" or ".." in str(config.workers):
        told.append(f"workers: a fixed number there, so processes={deployment.workers[1]}")
    if config.timeout:
        told.append("timeout: when it has passed, mod_wsgi starts the whole process anew")
    if asks_django(deployment):
        told.append(
            "queue_timeout: mod_wsgi counts the time in which Apache loads Django for passwords, so none is written"
        )
    if deployment.secrets:
        told.append(f"secrets are not written: the settings must find {', '.join(deployment.secrets)} in a file")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.prefix != sys.base_prefix and not is_systems_python():
        told.append(
            f"mod_wsgi must be built for Python {version}, as {sys.prefix} is: `pip install mod_wsgi` does that"
        )
    told += guard_notes(deployment)
    if "*" in config.forwarded_allow:
        told.append("forwarded_allow: mod_wsgi is told no proxies, and believes nobody; name their addresses")
    if (config.allow or config.deny or config.auth) and is_chosen(config, "forwarded_allow"):
        told.append("forwarded_allow: what Apache guards asks for its own peer; mod_remoteip tells it the client's")
    if config.mounts:
        told.append("mounts: each has a WSGI file; one of ASGI needs a2wsgi's ASGIMiddleware around it there")
    if is_chosen(config, "access_log_format"):
        told.append("access_log_format: the format combined is written; Apache's LogFormat has names of its own")
    if not config.max_body:
        told.append("max_body: Apache takes bodies of one byte at least")
    if any(is_uwsgi(one) for one in config.bind):
        told.append("bind: Apache calls the application itself, so nobody speaks uwsgi")
    return told


def guard_notes(deployment: Deployment) -> list[str]:
    """What Apache does otherwise about those who may come in."""
    config = deployment.config
    told = []
    for guard in config.auth:
        name = guard["provider"]
        if name not in ("django", "none") and not name.startswith("htpasswd:") and not name.startswith("/"):
            told.append(f"auth {guard['path']}: mod_wsgi takes a file and no module, so put {name} into one")
        if name.startswith("htpasswd:") and guard["groups"]:
            told.append(f"auth {guard['path']}: groups need AuthGroupFile beside an htpasswd file")
    odd = [peer for peer in (*config.allow, *config.deny) if not is_address(peer)]
    odd += [peer for guard in config.auth for peer in (*guard["allow"], *guard["deny"]) if not is_address(peer)]
    told += [f"{peer} in allow or deny has no counterpart in Apache" for peer in dict.fromkeys(odd)]
    told += [
        f"auth {guard['path']}: mod_wsgi asks for each password anew, whatever its cache says"
        for guard in config.auth
        if guard["cache"] != 60
    ]
    return told
