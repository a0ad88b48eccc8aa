"""THE table: every setting, once. Flags, variables, file keys, schema and reference page come from here.

Nothing here reads a file or looks at the machine; config.py does. A setting that is not in this table does not exist.
"""

from collections.abc import Mapping
from typing import Any

from penstock.kinds import (
    Address,
    Choice,
    Count,
    Duration,
    Flag,
    Folders,
    Hook,
    Host,
    Key,
    Kind,
    Listing,
    LogConfig,
    Mask,
    Mounts,
    Name,
    Path,
    Peer,
    Provider,
    Rate,
    Realm,
    Server,
    Size,
    Tables,
    Target,
    UrlPath,
    Variables,
    Workers,
)


class Setting:
    """One setting.

    `default` is written as a person would write it; `why` gives the reason for a limit; `reloads` says whether
    `reload` (HUP) picks up a new value, or only a restart; `also` is a variable that sets it when ours does not.
    """

    __slots__ = ("also", "default", "group", "help", "kind", "name", "reloads", "section", "short", "why")

    def __init__(
        self,
        place: tuple[str, str],
        name: str,
        kind: Kind,
        default: Any,
        help: str,
        *,
        why: str = "",
        reloads: bool = True,
        short: str = "",
        also: str = "",
    ) -> None:
        self.section, self.group = place
        self.name, self.kind, self.default, self.help, self.why = name, kind, default, help, why
        self.reloads, self.short, self.also = reloads, short, also

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"PENSTOCK_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The command-line flag that sets it; the application is the positional TARGET instead."""
        return "TARGET" if self.name == "app" else "--" + self.name.replace("_", "-")


# (section of penstock.toml, heading of the help and of the reference page)
APPLICATION = ("site", "What to serve")
ADDRESS = ("server", "Where to listen")
WORKERS = ("site", "Workers and threads")
CLIENTS = ("server", "Clients: deadlines and limits")
BODIES = ("site", "Bodies and responses")
PROXIES = ("server", "Proxies in front")
ACCESS = ("site", "Who may come in")
FILES = ("site", "Static and protected files")
LOGS = ("server", "Logs and the process")
MONITORING = ("server", "Monitoring")
HOOKS = ("site", "Hooks")
RIGHTS = ("site", "Users and rights")
CHECKS = ("site", "Checks")
SITES = ("sites", "One of several sites")  # in [sites.NAME], beside the keys of [site]

# Longer than a day is surely a slip of a unit.
DAY = 86400

# The keys of each [[site.auth]].
AUTH = (
    Key("path", UrlPath(), None, "The path that is guarded, with all below it; the longest one decides alone"),
    Key("realm", Realm(), "Restricted", "What a browser shows when it asks for the password"),
    Key("users", Listing(Kind()), [], "Only these users; nothing: every user whose password is right"),
    Key("groups", Listing(Kind()), [], "Only members of these groups"),
    Key(
        "require",
        Choice("any", "all"),
        "any",
        "any: one of users, or of one group; all: one of users, and of every group",
    ),
    Key("provider", Provider(), "django", "Who knows users and groups"),
    Key("cache", Duration(0, DAY), "60s", "Time that a right password and its groups are remembered; 0s: not at all"),
    Key("over_http", Flag(), False, "Takes passwords over plain HTTP too, where everybody on the way can read them"),
    Key("allow", Listing(Peer()), [], "Only from here; nothing: from everywhere"),
    Key("deny", Listing(Peer()), [], "Not from here, whatever allow says"),
)

TABLE = (
    Setting(
        APPLICATION,
        "app",
        Kind(),
        "",
        "The application: module, module:attribute, module:factory(), or a path to a .py file",
        why="Without it: manage.py here or above, then the only */wsgi.py.",
    ),
    Setting(
        APPLICATION,
        "chdir",
        Path(),
        "",
        "Work in this directory, and look for the application there",
        why="Without it: where manage.py is, or the working directory.",
    ),
    Setting(APPLICATION, "settings", Kind("MODULE"), "", "Django's settings module; wins over DJANGO_SETTINGS_MODULE"),
    Setting(
        APPLICATION,
        "env",
        Name("NAME", "[A-Za-z0-9_.-]*", 'a name like "production"; the variables are --environment NAME=VALUE'),
        "",
        "Sets DJANGO_ENV to this name, reads .env.NAME over .env, and takes [env.NAME] of penstock.toml",
        why="Variables that are really set always win over those two files.",
        also="DJANGO_ENV",
    ),
    Setting(
        APPLICATION,
        "environment",
        Variables(),
        {},
        "Variables for the site's processes; they win over those that are really set",
        why="Values whose names sound secret are masked wherever they are shown.",
    ),
    Setting(
        APPLICATION,
        "secrets",
        Listing(Name("NAME", Variables.name, "the name of a variable")),
        [],
        "Variables that the site must have; they may be files that NAME_FILE or systemd's credentials name",
        why="The site does not start when one is missing. Their values are never shown.",
    ),
    Setting(APPLICATION, "python_path", Listing(Path()), [], "Directories to look for modules in, before all others"),
    Setting(
        APPLICATION,
        "reload",
        Flag(),
        False,
        "Reloads when a source file changes; for development, needs watchfiles",
        reloads=False,
    ),
    Setting(
        APPLICATION,
        "refresh",
        Flag(),
        True,
        "`penstock runserver` has the browser show a page anew when its files have changed",
        why="Compressed and streamed pages, and those with a Content-Security-Policy, are left alone.",
        reloads=False,
    ),
    Setting(
        APPLICATION,
        "preload",
        Choice("auto", "always", "never"),
        "auto",
        "Loads the application once, before the workers are forked",
        why="auto: unless loading it starts threads, which do not survive a fork. never: each worker loads it.",
    ),
    Setting(
        APPLICATION,
        "boot_timeout",
        Duration(0.1, DAY),
        "60s",
        "Time for the application to load, and for a worker to become ready",
        why="A new generation that hangs while it is loaded is given up then; the old one serves on.",
    ),
    Setting(
        APPLICATION,
        "probe",
        Kind("URL"),
        "",
        "A worker must answer a GET of this path with a status below 500 before it takes requests",
        why="So a reload whose code loads and cannot answer fails, and the old code serves on.",
    ),
    Setting(
        APPLICATION,
        "probe_host",
        Kind("HOST"),
        "",
        "The Host of the probe",
        why="Without it: the first name in Django's ALLOWED_HOSTS, or localhost.",
    ),
    Setting(
        APPLICATION,
        "keep_previous",
        Flag(),
        True,
        "Keeps the generation before a reload in memory, for `penstock rollback`",
        why="It costs what the new generation's code does not share with it; `penstock status` shows how much.",
    ),
    Setting(
        APPLICATION,
        "middleware",
        Listing(Target()),
        [],
        "WSGI middleware around the application, the outermost first; each is called with what it wraps",
    ),
    Setting(
        APPLICATION,
        "mounts",
        Mounts(),
        {},
        "Other applications below a URL of their own, WSGI or (with a2wsgi) ASGI",
        why="The longest URL wins; all else goes to the application itself.",
    ),
    Setting(
        ADDRESS,
        "bind",
        Listing(Address()),
        ["127.0.0.1:8000"],
        "Addresses: host:port, [v6]:port, :port (every IPv4 address), unix:PATH, fd://N or fd://NAME",
        why="On this machine only, until you say otherwise. Sockets from systemd are used when nothing else is said.",
        reloads=False,
        short="-b",
    ),
    Setting(
        ADDRESS,
        "backlog",
        Count(1, 65535),
        2048,
        "Connections that the system keeps waiting before it refuses more",
        why="The system may hold fewer: net.core.somaxconn is the upper bound.",
        reloads=False,
    ),
    Setting(
        ADDRESS,
        "health_path",
        Kind("PATH"),
        "",
        "Answers this path with 200 from the engine, also when every thread is busy; nothing: the application does",
    ),
    Setting(
        WORKERS,
        "workers",
        Workers(1024),
        "auto",
        "Worker processes",
        why="auto: the CPUs that affinity and the cgroup's quota allow, at least 1. 2..8: as many as the load needs.",
        short="-w",
    ),
    Setting(
        WORKERS,
        "threads",
        Count(1, 1024, auto=True),
        "auto",
        "Threads of a worker that call the application, started when first needed",
        why="auto: 8. More help views that wait for something else; they cannot help views that compute.",
        reloads=False,  # the scoreboard has a cell for each
    ),
    Setting(
        WORKERS,
        "graceful_timeout",
        Duration(0, DAY),
        "30s",
        "Time that requests in flight get to finish when a worker leaves",
        why="As long as most load balancers and systemd wait. 0s: none.",
    ),
    Setting(
        WORKERS,
        "queue_size",
        Count(1, 1_000_000),
        2048,
        "Requests of a worker that may wait for a thread; the next one gets 503",
        why="As many as the backlog: memory stays bounded when there is more work than a worker can do.",
    ),
    Setting(
        WORKERS,
        "queue_timeout",
        Duration(0.001, DAY),
        "3s",
        "Time that a request may wait for a thread before it gets 503",
        why="People have left after five seconds, and the view takes its time too; work for nobody makes others wait.",
    ),
    Setting(
        WORKERS,
        "timeout",
        Duration(0, DAY),
        "30s",
        "Time that the application has for a request, else 504; 0s: any",
        why="Each piece of a streamed response begins it anew. The log shows where the thread was.",
    ),
    Setting(
        WORKERS,
        "timeout_grace",
        Duration(0, DAY),
        "5s",
        "Time that a thread has to stop after its deadline; then its worker is replaced",
    ),
    Setting(
        WORKERS,
        "slow_request_log",
        Duration(0, DAY),
        "0s",
        "Logs where a thread is when its request takes longer; 0s: off",
    ),
    Setting(
        WORKERS,
        "max_requests",
        Count(0, 10**12 - 1),
        0,
        "Replaces a worker after so many requests; 0: never",
        why="Against memory that leaks. Workers are replaced one by one, each when the next one is ready.",
    ),
    Setting(
        WORKERS,
        "max_requests_jitter",
        Count(0, 10**12 - 1),
        0,
        "Adds up to so many to max_requests, by chance",
    ),
    Setting(WORKERS, "max_lifetime", Duration(0, 366 * DAY), "0s", "Replaces a worker after such a time; 0s: never"),
    Setting(
        WORKERS,
        "max_memory",
        Size(0, 2**50),
        "0B",
        "Replaces a worker that uses more memory (PSS), when its requests are finished; 0B: any",
        why="PSS counts memory that processes share in equal parts.",
    ),
    Setting(
        WORKERS,
        "max_memory_hard",
        Size(0, 2**50),
        "0B",
        "Kills a worker that uses more memory (PSS) at once; 0B: any",
    ),
    Setting(
        CLIENTS,
        "max_connections",
        Count(1, 1_000_000, auto=True),
        "auto",
        "Connections of a worker; the next ones stay in the backlog",
        why="auto: seven eighths of the file descriptors that the process may open. The rest is the application's.",
    ),
    Setting(
        CLIENTS,
        "keep_alive_timeout",
        Duration(0, DAY),
        "75s",
        "Time that an idle connection is kept; 0s closes after each response",
        why="Longer than the 60 s after which common load balancers drop theirs, so that they close first.",
    ),
    Setting(
        CLIENTS,
        "head_timeout",
        Duration(0.001, DAY),
        "15s",
        "Time for a whole request head to arrive, else 408",
        why="A head is one or two packets; only an attacker or a dead line takes longer.",
    ),
    Setting(
        CLIENTS,
        "max_request_line",
        Size(256, 1024**2),
        "8KiB",
        "Longest request line, else 414",
        why="RFC 9112 3 asks for at least 8000 octets.",
    ),
    Setting(
        CLIENTS,
        "max_head",
        Size(1024, 16 * 1024**2),
        "32KiB",
        "Largest request head, else 431",
        why="Twice what h11 takes; nginx allows four pieces of 8 KiB.",
    ),
    Setting(
        CLIENTS,
        "max_fields",
        Count(1, 10_000),
        100,
        "Most header fields in a request, else 431",
        why="Browsers and a chain of proxies send some thirty.",
    ),
    Setting(
        BODIES,
        "max_body",
        Size(0, 2**50),
        "1GiB",
        "Largest request body, else 413",
        why="It may fill the disk of temp_dir; Django's own limits apply to what it parses.",
    ),
    Setting(
        BODIES,
        "body_memory",
        Size(0, 2**31),
        "1MiB",
        "A larger request body goes to a temporary file",
        why="Forms and JSON stay in memory; 400 uploads at once need 400 MiB at most.",
    ),
    Setting(
        BODIES,
        "response_memory",
        Size(64 * 1024, 2**31),
        "256KiB",
        "A response of which more waits for a slow client goes to a temporary file",
        why="So a slow reader costs neither a thread nor much memory.",
    ),
    Setting(
        BODIES,
        "body_timeout",
        Duration(0.001, DAY),
        "30s",
        "Longest pause within a request body, else 408",
        why="A phone that changes cells is back by then.",
    ),
    Setting(
        BODIES,
        "min_body_rate",
        Rate(0, 2**31),
        "500B/s",
        "Slowest request body, over its whole length, else 408; 0 allows any",
        why="A tenth of a bad modem; below it only those who want to hold the connection remain.",
    ),
    Setting(
        BODIES,
        "write_timeout",
        Duration(0.001, DAY),
        "60s",
        "Longest time in which a client reads nothing of a response, then it is closed",
        why="As in nginx's send_timeout: between two reads, not for the whole response.",
    ),
    Setting(
        BODIES,
        "stream_body",
        Flag(),
        False,
        "wsgi.input reads from the client: the application is called before the body is there",
        why="A thread then waits for the client, and chunked bodies have no CONTENT_LENGTH.",
    ),
    Setting(
        BODIES,
        "temp_dir",
        Path(),
        "",
        "Directory of the temporary files",
        why="Without it: TMPDIR, or the system's own. Choose a real disk when /tmp is memory.",
    ),
    Setting(
        PROXIES,
        "forwarded_allow",
        Listing(Kind("PEER")),
        ["127.0.0.1", "::1", "unix"],
        "Peers whose Forwarded and X-Forwarded-* fields are believed: addresses, networks, unix, or *",
        why="From everybody else these fields are dropped, so that nobody can pose as another client.",
    ),
    Setting(
        PROXIES,
        "proxy_protocol",
        Flag(),
        False,
        "Connections begin with a PROXY header (versions 1 and 2)",
        why="Only from the peers of forwarded_allow.",
    ),
    Setting(
        ACCESS,
        "auth",
        Tables(*AUTH),
        [],
        "Asks for a user name and a password (HTTP Basic) below a path",
        why="For the application, its mounts, static and media files alike.",
    ),
    Setting(
        ACCESS,
        "allow",
        Listing(Peer()),
        [],
        "Answers only clients from here; everybody else gets 403",
        why="Nothing: everybody. Behind a proxy it is the client's own address that counts; see forwarded_allow.",
    ),
    Setting(
        ACCESS,
        "deny",
        Listing(Peer()),
        [],
        "Answers clients from here with 403, whatever allow says",
    ),
    Setting(FILES, "static", Folders(), {}, "Serves the files of a directory below a URL"),
    Setting(
        FILES,
        "static_max_age",
        Duration(0, 366 * DAY),
        "1m",
        "Time that clients may keep such a file without asking again",
        why="Files with a hash in their name may be kept for ever. 0s: ask each time.",
    ),
    Setting(
        FILES,
        "protected",
        Folders(),
        {},
        "Directories that the application may send from with X-Accel-Redirect or X-Sendfile",
    ),
    Setting(
        FILES,
        "django_static",
        Choice("auto", "off"),
        "auto",
        "Takes static and media files from Django's settings; off leaves them to the application",
    ),
    Setting(
        LOGS,
        "access_log",
        Path(special=("-",)),
        "",
        "A line for each request, to this file; - is standard output, nothing is off",
    ),
    Setting(
        LOGS,
        "access_log_format",
        Kind("FORMAT"),
        "combined",
        "combined, json, or a format of Gunicorn's atoms such as %(h)s",
    ),
    Setting(
        LOGS,
        "error_log",
        Path(special=("-",)),
        "-",
        "Penstock's own lines and tracebacks, to this file; - is standard error",
        reloads=False,
    ),
    Setting(
        LOGS,
        "log_level",
        Choice("debug", "info", "warning", "error"),
        "info",
        "The least grave of Penstock's own lines to write",
        reloads=False,
    ),
    Setting(
        LOGS,
        "log_format",
        Choice("text", "json"),
        "text",
        "How Penstock writes its own lines: for people, or one JSON object for each event",
        reloads=False,
    ),
    Setting(
        LOGS,
        "log_config",
        LogConfig(),
        "",
        "Hands Penstock's own lines to Python's logging, set up by this dictConfig, as the logger penstock",
        why="The supervisor imports the module too: keep it apart from the application.",
        reloads=False,
    ),
    Setting(
        LOGS,
        "request_id",
        Flag(),
        False,
        "Gives each request an X-Request-ID, unless a trusted proxy has, and tells it to the application and the log",
    ),
    Setting(
        LOGS,
        "control",
        Path(special=("auto", "off")),
        "auto",
        "The socket through which `penstock status` and the other commands talk to the supervisor; off: none",
        why="auto: in XDG_RUNTIME_DIR, /run/penstock or the temporary directory. Only its owner and root may use it.",
        reloads=False,
    ),
    Setting(
        LOGS,
        "pid_file",
        Path(),
        "",
        "Where to write the supervisor's process id",
        reloads=False,
    ),
    Setting(
        MONITORING,
        "admin_bind",
        Listing(Address()),
        [],
        "Addresses for /live, /ready, /startup, /metrics and /status, answered by the supervisor",
        why="Who reaches them may read them: choose an address that the public cannot reach.",
        reloads=False,
    ),
    Setting(
        MONITORING,
        "statsd",
        Server(),
        "",
        "Sends the metrics to this StatsD server, over UDP, every ten seconds",
        reloads=False,
    ),
    Setting(
        MONITORING,
        "statsd_prefix",
        Kind("NAME"),
        "penstock",
        "The first part of the names that StatsD gets",
        reloads=False,
    ),
    Setting(
        HOOKS,
        "on_start",
        Hook(),
        "",
        "Called with the generation's number, wherever the application has been loaded",
        why="Before workers are forked from it, so they share what it makes. With preload = never: in each worker.",
    ),
    Setting(
        HOOKS,
        "on_reload",
        Hook(),
        "",
        "Called with the generation's number after on_start, from the second generation on",
    ),
    Setting(
        HOOKS,
        "post_fork",
        Hook(),
        "",
        "Called with the worker's number in each worker, when it has been forked",
        why="For what must not be shared: connections, random numbers, threads.",
    ),
    Setting(
        HOOKS,
        "on_ready",
        Hook(),
        "",
        "Called with the worker's number just before it takes requests",
    ),
    Setting(
        HOOKS,
        "on_exit",
        Hook(),
        "",
        "Called with the worker's number when it has finished its requests and leaves",
        why="Not when it is killed.",
    ),
    Setting(
        HOOKS,
        "pre_request",
        Hook(),
        "",
        "Called with the environ ahead of each request, in its thread",
        why="What it raises is answered with 500, as if the application had raised it.",
    ),
    Setting(
        HOOKS,
        "post_request",
        Hook(),
        "",
        "Called with the environ and the status after each request, in its thread",
        why="The response has been closed; lists and files of wsgi.file_wrapper may still be on their way.",
    ),
    Setting(
        RIGHTS,
        "user",
        Kind("USER"),
        "",
        "The site's processes run as this user: a name, or a number",
        why="The supervisor binds and opens as root, and stays root to reload; it runs no code of the application.",
        reloads=False,
        short="-u",
    ),
    Setting(
        RIGHTS,
        "group",
        Kind("GROUP"),
        "",
        "The site's processes run in this group: a name, or a number",
        why="Without it: the groups of user.",
        reloads=False,
        short="-g",
    ),
    Setting(
        RIGHTS,
        "umask",
        Mask(),
        "",
        "The rights that new files and unix sockets do not get, as for the shell's umask",
        why="Without it: what Penstock is started with.",
        reloads=False,
        short="-m",
    ),
    Setting(
        CHECKS,
        "silenced_checks",
        Listing(Kind("ID")),
        [],
        "Findings that `penstock check` does not show",
        why="Django's SILENCED_SYSTEM_CHECKS counts too.",
    ),
    Setting(
        SITES,
        "hosts",
        Listing(Host()),
        [],
        "Host names that this site answers: whole ones, or *.NAME for all below a name",
        why="A whole name wins over *.NAME, and the longest one of those.",
    ),
    Setting(
        SITES,
        "path",
        UrlPath(),
        "/",
        "Path below which this site answers; it is SCRIPT_NAME then",
        why="Several sites can share a host: the longest path decides.",
    ),
    Setting(
        SITES,
        "default",
        Flag(),
        False,
        "Answers for every host that no site names",
        why="Without such a site those requests get 421.",
    ),
    Setting(
        SITES,
        "on_demand",
        Flag(),
        False,
        "Starts the site when somebody asks for it, who waits meanwhile",
    ),
    Setting(
        SITES,
        "idle_stop",
        Duration(0, 366 * DAY),
        "10m",
        "With on_demand: stops the site when nobody has asked for it for so long; 0s: never",
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}

# What each layer can set; the keys of one of several sites have a place in penstock.toml only.
LAYERED = tuple(setting for setting in TABLE if setting.section != "sites")


def belongs_in(setting: Setting, section: str) -> bool:
    """Whether a section of penstock.toml may have the setting; [sites.NAME] has those of [site], and its own logs."""
    own_log = setting.group == LOGS[1] and setting.name not in ("pid_file", "control")
    return setting.section == section or (section == "sites" and (setting.section == "site" or own_log))
