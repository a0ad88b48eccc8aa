"""Imports uWSGI's configuration. What each option becomes is one table; logic and syntax have modules of their own.

Several files are several sites, as the emperor has them: each is named as its file is.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock.errors import nearest
from penstock.interop.importing import defaults
from penstock.interop.importing.draft import (
    CARRIED,
    CHANGED,
    OPEN,
    UNKNOWN,
    UNNEEDED,
    UNSUPPORTED,
    Becomes,
    Directive,
    Draft,
    Into,
    Remark,
    Site,
    each,
    join,
)
from penstock.interop.importing.interpreter import import_python_path, import_venv
from penstock.interop.importing.uwsgi_logic import Logic
from penstock.interop.importing.uwsgi_syntax import Option
from penstock.kinds import Count, Measure
from penstock.settings import BY_NAME

MASTER = Remark(UNNEEDED, "there is always a supervisor")
SAFE = Remark(UNNEEDED, "that is always so")
PLUGINS = Remark(UNNEEDED, "there are no plugins")
QUEUE = Remark(UNSUPPORTED, "work in the background belongs in a task queue, or a service of systemd beside this one")
ROUTING = Remark(UNSUPPORTED, "a server in front, a middleware, or Django's URLs do it")
TLS = Remark(
    UNSUPPORTED, "Penstock speaks no TLS: keep a server in front for it, and name that one in forwarded_allow"
)
EMPEROR = Remark(UNSUPPORTED, "import the vassals together, each as a FILE: each becomes a site")
MODES = Remark(CHANGED, 'umask says which rights a unix socket does not get: umask = "007" for its user and group')
TOUCH = Remark(CHANGED, "`penstock reload` loads new code, and keeps the old when it does not work")
REST = Remark(UNSUPPORTED, "there is nothing like it")


def first(words: list[str]) -> str:
    """The value as it is."""
    return words[0]


def address(words: list[str]) -> list[str]:
    """An address: a path is a unix socket, no host is every address; options after a comma are uWSGI's own."""
    text = words[0].split(",")[0]
    if "/" in text or text.startswith("@"):
        return [f"unix:{text}"]
    text = re.sub(r"^(\*:|:)", ":", text)
    return [f":{text}" if text.isdigit() else text]


def folder(words: list[str]) -> dict[str, str]:
    """/URL=DIRECTORY."""
    url, _, directory = words[0].partition("=")
    return {url: directory}


def variable(words: list[str]) -> dict[str, str]:
    """NAME=VALUE."""
    name, _, value = words[0].partition("=")
    return {name.strip(): value.strip()}


def megabytes(words: list[str]) -> str:
    """uWSGI counts in megabytes."""
    return f"{words[0]}MiB"


def log_file(words: list[str]) -> str:
    """The file of a logger."""
    return "-" if words[0] == "stdio" else words[0].removeprefix("file:")


def memory_of_bodies(words: list[str]) -> str:
    """A number of bytes; 1 is only a switch, with which every body goes to a file."""
    return BY_NAME["body_memory"].default if words[0] in ("1", "true") else words[0]


HTTP = Becomes("bind", address)
PSS = "memory is counted as PSS: what processes share counts in part"
TABLE: Mapping[str, Becomes | Remark] = {
    **each("http-socket http11-socket", HTTP),
    "http": Becomes("bind", address, "there is no router in front: each worker accepts by itself"),
    **each("processes workers p", Becomes("workers")),
    "threads": Becomes("threads"),
    **each(
        "harakiri http-harakiri",
        Becomes("timeout", changed="the client gets 504 and the log the stack; the worker goes on"),
    ),
    "max-requests": Becomes("max_requests", changed="the next worker is ready before this one leaves"),
    "max-requests-delta": Becomes("max_requests_jitter", changed="by chance, and not by the worker's number"),
    "max-worker-lifetime": Becomes("max_lifetime", changed="the next worker is ready before this one leaves"),
    "reload-on-rss": Becomes("max_memory", megabytes, PSS),
    "evil-reload-on-rss": Becomes("max_memory_hard", megabytes, PSS),
    **each("worker-reload-mercy reload-mercy", Becomes("graceful_timeout")),
    "listen": Becomes("backlog"),
    "buffer-size": Becomes("max_head", changed="of the whole head of a request"),
    "limit-post": Becomes("max_body"),
    **each("static-map static-map2", Becomes("static", folder)),
    **each("uid", Becomes("user")),
    **each("gid", Becomes("group")),
    "umask": Becomes("umask"),
    **each("chdir chdir2", Becomes("chdir")),
    "env": Becomes("environment", variable),
    **each("pidfile pidfile2 safe-pidfile safe-pidfile2", Becomes("pid_file")),
    **each("logto logto2 log-master-file", Becomes("error_log", log_file)),
    **each("req-logger", Becomes("access_log", log_file, "in the format combined")),
    "daemonize": Becomes("error_log", changed="systemd starts and watches the service: no daemon is made"),
    **each("http-keepalive so-keepalive", SAFE),
    **each(
        "http-timeout socket-timeout http-connect-timeout",
        Remark(CHANGED, "head_timeout, body_timeout and write_timeout part it, timeout is the application's"),
    ),
    **each("lazy-apps lazy", Becomes("preload", lambda words: "never" if is_on(words[0]) else "always")),
    "post-buffering": Becomes("body_memory", memory_of_bodies, "bodies are always read first, larger ones to a file"),
    **each("limit-as rlimit-as", Becomes("limit_memory", megabytes)),
    "max-fd": Becomes("limit_files"),
    **each("py-autoreload python-autoreload", Becomes("reload", lambda _: True, "needs watchfiles")),
    "temp-dir": Becomes("temp_dir"),
    **each(
        "stats stats-server stats-http",
        Becomes("admin_bind", address, "answers /metrics and /status; uWSGI's JSON is not spoken"),
    ),
    **each("master M", MASTER),
    **each(
        "need-app single-interpreter enable-threads vacuum die-on-term no-orphans thunder-lock "
        "close-on-exec honour-range ignore-sigpipe ignore-write-errors disable-write-exception "
        "post-buffering-bufsize offload-threads reuse-port harakiri-verbose strict log-date "
        "logdate log-master auto-procname procname procname-prefix procname-prefix-spaced "
        "procname-master memory-report wsgi-disable-file-wrapper threads-stacksize optimize-static "
        "no-defer-accept tcp-nodelay honour-stdin buffer-size-auto add-header-server catch-exceptions "
        "http-auto-chunked http-auto-gzip http-chunked-input chunked-input-timeout freebind log-micros "
        "log-slow pep3333-input wsgi-manage-chunked-input manage-script-name gevent-monkey-patch "
        "hook-master-start exit-on-reload log-reopen log-5xx log-4xx",
        SAFE,
    ),
    **each("plugin plugins plugin-dir plugins-dir autoload need-plugin", PLUGINS),
    **each("touch-reload touch-workers-reload touch-chain-reload touch-mules-reload fs-reload", TOUCH),
    **each("chmod-socket chown-socket chmod", MODES),
    **each("https https-socket https2 ssl-socket suwsgi-socket http-to-https", TLS),
    **each(
        "spooler spooler-processes spooler-import mule mules farm cron cron2 legion-cron unique-cron timer "
        "attach-daemon attach-daemon2 smart-attach-daemon smart-attach-daemon2 legion-attach-daemon cache cache2 "
        "queue sharedarea",
        QUEUE,
    ),
    **each("emperor emperor-tyrant vassals-include emperor-pidfile emperor-stats", EMPEROR),
    **each(
        "cheaper-algo cheaper-initial cheaper-step cheaper-overload cheaper-rss-limit-soft",
        Remark(CHANGED, "workers follow how long requests wait, by a rule of their own"),
    ),
    **each(
        "log-x-forwarded-for", Remark(CHANGED, "forwarded_allow names the proxies whose X-Forwarded-For is believed")
    ),
    **each("log-format logformat log-format-strftime", Remark(CHANGED, "access_log_format has Gunicorn's atoms")),
    **each("disable-logging L", Remark(UNNEEDED, "without access_log no request is logged")),
    **each(
        "gevent asyncio async ugreen gevent-wait",
        Remark(
            UNSUPPORTED,
            "threads call the application: a slow client costs none of them; more threads help views that wait",
        ),
    ),
    **each(
        "check-static static-index static-expires static-expires-uri static-safe static-skip-ext",
        Remark(
            UNSUPPORTED, 'static = { "/URL/" = "DIRECTORY" } serves files; static_max_age says how long they are kept'
        ),
    ),
    **each(
        "cgroup namespace chroot cpu-affinity",
        Remark(UNSUPPORTED, "systemd says it: MemoryMax=, CPUAffinity=, RootDirectory="),
    ),
    **each(
        "fastcgi-socket scgi-socket http-to subscribe-to subscribe2 fastrouter",
        Remark(UNSUPPORTED, "only HTTP is spoken: a server in front passes requests on by HTTP"),
    ),
    **each(
        "import shared-import post-fork spooler-python-import",
        Remark(UNSUPPORTED, 'a hook does it: on_start = "module:function", or post_fork for each worker'),
    ),
    **each(
        "add-header del-header response-header-collect",
        Remark(UNSUPPORTED, "Django's SecurityMiddleware, or a middleware of one's own, sets fields of responses"),
    ),
}
# Routes that keep somebody out.
REFUSES = re.compile(r"\b(?:basicauth|ldapauth|radius|break:40[0-9]|return:40[0-9])\b", re.IGNORECASE)
# Options that begin alike, and share their fate.
FAMILIES: Mapping[tuple[str, ...], Remark] = {
    ("route", "final-route", "error-route", "response-route", "rewrite", "error-page"): ROUTING,
    ("hook-", "exec-", "as-"): Remark(UNSUPPORTED, "systemd's ExecStartPre= and its kin, or Penstock's hooks, do it"),
    ("emperor", "vassal"): EMPEROR,
    ("cheap", "idle"): Remark(UNSUPPORTED, 'workers = "2..8" follows the load, by a rule of its own'),
    ("http-", "ssl-", "fastrouter", "rawrouter", "socket-", "subscri"): REST,
}
# Options that the site is made of; `import_site` reads them.
APPLICATION = ("module", "wsgi", "w", "wsgi-file", "file", "callable", "mount")
VIRTUALENV = ("home", "virtualenv", "venv", "pyhome", "H")
SOCKETS = ("socket", "uwsgi-socket", "s")
CHEAP = ("cheaper", "cheap")


def import_files(paths: list[str], draft: Draft, read_text: Callable[[str], str]) -> None:
    """Imports each file as a site. Raises ConfigurationError with line and column."""
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        known = {site.name for site in draft.sites}
        name = "site" if len(paths) == 1 else name_of(path, known)
        site = draft.site(name)
        if len(paths) > 1:
            site.hosts = [stem] if "." in stem else []
            draft.note(f"hosts of [sites.{name}]: uWSGI does not know them. Say which host names it answers.")
        logic = Logic(draft, read_text)
        import_site(logic.options(path), logic.placeholders, os.path.dirname(path), draft, site)


def name_of(path: str, known: set[str]) -> str:
    """A site's name: that of its file, with the directory's in front of it where another site has it already."""
    words = path.removesuffix(os.path.splitext(path)[1]).split(os.sep)
    names = [re.sub(r"[^A-Za-z0-9]+", "-", "-".join(words[-count:])).strip("-") for count in range(1, len(words) + 1)]
    names += [f"site-{number}" for number in range(len(known) + 1)]
    return next(name for name in names if name and name not in known)


def import_site(options: list[Option], placeholders: set[str], directory: str, draft: Draft, site: Site) -> None:
    """Imports the options of one instance."""
    strict = any(option.name == "strict" and is_on(option.value) for option in options)
    # uWSGI works where it was started, usually beside the file, and goes to chdir before it opens anything.
    chdir = next((option.value for option in options if option.name == "chdir"), "")
    base = join(directory, chdir)
    for option in options:
        import_option(option, placeholders, strict, Into(draft, site, directory if option.name == "chdir" else base))
    import_application(options, base, draft, site)
    import_cheaper(options, draft, site, base)
    defaults.explain(draft, site, "uWSGI", "process")
    if "timeout" not in site.settings:
        draft.note('uWSGI gives a request any time unless told otherwise; Penstock 30 s. timeout = "0s": as before.')
    if "max_head" not in site.settings:
        draft.note("uWSGI refuses heads above 4 KiB unless told otherwise; Penstock takes 32 KiB (max_head).")


def import_option(option: Option, placeholders: set[str], strict: bool, into: Into) -> None:
    """Imports one option, but for those that the application is made of."""
    name, value, directive = option
    word = TABLE.get(name)
    if name in APPLICATION or name in CHEAP:
        return
    if name in VIRTUALENV:
        import_venv(value, directive, into)
    elif name in ("pythonpath", "python-path", "pp"):
        import_python_path([value], directive, into)
    elif name in SOCKETS:
        import_socket(value, directive, into)
    elif name.startswith("route") and REFUSES.search(value):
        into.draft.find(directive, OPEN, "guard the path with [[site.auth]], or with allow and deny")
    elif isinstance(word, Remark):
        into.draft.find(directive, *word)
    elif word and is_off(word, value):
        into.draft.find(directive, UNNEEDED, "off")
    elif word and word.setting == "workers" and directive.text.endswith("%k"):
        into.set("workers", "auto", directive)  # as many as there are CPUs
    elif word:
        into.set(word.setting, word.adapt([value]), directive, word.changed)
    elif name in placeholders or name in ("set", "set-placeholder", "set-ph"):
        into.draft.find(directive, UNNEEDED, "a variable of the file's own: filled in where it is used")
    elif family := next((remark for prefixes, remark in FAMILIES.items() if name.startswith(prefixes)), None):
        into.draft.find(directive, *family)
    else:
        known = nearest(name, [*TABLE, *APPLICATION, *VIRTUALENV, *SOCKETS, "pythonpath"])
        refused = "strict: uWSGI refuses it, too" if strict else "uWSGI takes it as a variable of the file's own"
        note = "; ".join(filter(None, ("not an option that this knows", known, refused)))
        into.draft.find(directive, UNKNOWN, note)


def import_socket(value: str, directive: Directive, into: Into) -> None:
    """A socket on which uWSGI's own protocol is spoken: as it is where Penstock speaks it, or else by HTTP."""
    [http] = address([value])
    try:
        BY_NAME["bind"].kind.read([f"uwsgi:{http}"], into.base)
    except ValueError:
        changed = (
            "HTTP is spoken here now: nginx needs `proxy_pass` instead of `uwsgi_pass`, with Host and X-Forwarded-For"
        )
        into.set("bind", [http], directive, changed)
    else:
        into.set("bind", [f"uwsgi:{http}"], directive)


def import_application(options: list[Option], base: str, draft: Draft, site: Site) -> None:
    """module, wsgi-file, callable and mount, which belong together."""
    attribute = next((option.value for option in options if option.name == "callable"), "")
    for option in options:
        name, value, directive = option
        if name in ("module", "wsgi", "w"):
            target = value if ":" in value or not attribute else f"{value}:{attribute}"
            draft.set(site, "app", target, directive, base=base)
        elif name in ("wsgi-file", "file"):
            if not value.endswith((".py", ".wsgi")):
                draft.find(directive, UNSUPPORTED, "give the file a name that ends with .py or .wsgi")
                continue
            script = join(base, value)
            module = os.path.relpath(script, base).removesuffix(".py").replace("/", ".")
            is_module = re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", module)
            target = module if is_module and value.endswith(".py") else script
            draft.set(site, "app", f"{target}:{attribute}" if attribute else target, directive, base=base)
        elif name == "callable":
            draft.find(directive, CARRIED, "in app")
        elif name == "mount":
            url, _, target = value.partition("=")
            if url in ("", "/"):
                draft.set(site, "app", target, directive, base=base)
            elif target.endswith(".py"):
                draft.find(directive, UNSUPPORTED, f'name its module: "{url}" = "module:application" in [site.mounts]')
            else:
                draft.set(site, "mounts", {url: target}, directive, base=base)
    if "app" in site.settings and "chdir" not in site.settings:
        draft.note(f"{site.name} works where `penstock serve` is started; chdir says another directory.")


def import_cheaper(options: list[Option], draft: Draft, site: Site, base: str) -> None:
    """cheaper: the least number of workers, of which `workers` is the most."""
    for option in options:
        if option.name in CHEAP:
            most: Any = site.settings.get("workers", 1)
            if option.name == "cheap":
                draft.find(
                    option.directive,
                    UNSUPPORTED,
                    "on_demand = true in [sites.NAME] starts a site when it is asked for",
                )
            elif not option.value.isdigit() or not isinstance(most, int):
                draft.find(option.directive, UNSUPPORTED, f"{option.value!r} is no number of workers")
            else:
                draft.set(site, "workers", f"{option.value}..{most}", option.directive, base=base)


def is_off(word: Becomes, value: str) -> bool:
    """Whether an option says nothing: 0 is a number like others, and without lazy-apps there is a preload."""
    is_number = isinstance(BY_NAME[word.setting].kind, Count | Measure)
    return word.setting != "preload" and (value in ("false", "") or (value == "0" and not is_number))


def is_on(value: str) -> bool:
    """Whether a switch is on."""
    return value.lower() in ("true", "1", "yes", "on")
