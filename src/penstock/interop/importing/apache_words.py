"""Apache's and mod_wsgi's words: what each option and directive becomes, or why it becomes nothing. Tables only.

What needs more than a word (who may see what, aliases, addresses) is in apache.py and apache_auth.py.
"""

from collections.abc import Mapping

from penstock.interop.importing.draft import CHANGED, UNNEEDED, UNSUPPORTED, Becomes, Remark, each

ENGINE = Remark(UNNEEDED, "there is no second process between the client and the application")
BUFFERS = Remark(UNNEEDED, "requests are read whole, and responses leave through a buffer of their own")
OTHER_LIMIT = "max_memory and max_memory_hard limit a worker; systemd's MemoryMax= and CPUQuota= the service"

# What LimitRequestBody 0 means.
UNLIMITED = "1048576GiB"


def log_file(words: list[str]) -> str:
    """The file of a log; Penstock has a sign for its own output."""
    return "-" if words[0] in ("/dev/stdout", "/dev/stderr") else words[0]


def language(variable: str, name: str) -> dict[str, str]:
    """A locale; Python makes C.UTF-8 of none by itself."""
    return {} if name == "C.UTF-8" else {variable: name}


DAEMON_OPTIONS: Mapping[str, Remark | Becomes] = {
    "processes": Becomes("workers"),
    "threads": Becomes("threads"),
    "user": Becomes("user"),
    "group": Becomes("group"),
    "umask": Becomes("umask"),
    "home": Becomes("chdir"),
    **each("python-path python-home", Remark(UNNEEDED, "")),  # the site's interpreter: interpreter.py
    "request-timeout": Becomes("timeout", changed="each request has this time, and gets 504; no process ends for it"),
    "graceful-timeout": Becomes("graceful_timeout", changed="for each worker that leaves, also at a stop"),
    "shutdown-timeout": Remark(CHANGED, "graceful_timeout is the time for requests in flight, also at a stop"),
    "queue-timeout": Becomes("queue_timeout", changed="for a thread to be free; then 503, as before"),
    "maximum-requests": Becomes("max_requests", changed="the next worker is ready before this one leaves"),
    "restart-interval": Becomes("max_lifetime", changed="the next worker is ready before this one leaves"),
    "startup-timeout": Becomes("boot_timeout"),
    "listen-backlog": Becomes("backlog", changed="of the socket that clients connect to"),
    "locale": Becomes("environment", lambda words: language("LC_ALL", words[0])),
    "lang": Becomes("environment", lambda words: language("LANG", words[0])),
    "inactivity-timeout": Remark(
        UNSUPPORTED, "on_demand = true and idle_stop in [sites.NAME] stop a site that nobody asks for"
    ),
    "deadlock-timeout": Remark(UNNEEDED, "a worker whose GIL is kept for good is noticed and replaced"),
    "eviction-timeout": Remark(UNNEEDED, "a reload waits for requests as long as graceful_timeout says"),
    "interrupt-timeout": Remark(UNNEEDED, "timeout_grace is the time that a view has to stop after its deadline"),
    "connect-timeout": ENGINE,
    "socket-timeout": ENGINE,
    "response-socket-timeout": Remark(CHANGED, "write_timeout is the time in which a client must read something"),
    "send-buffer-size": BUFFERS,
    "receive-buffer-size": BUFFERS,
    "header-buffer-size": Remark(CHANGED, "max_head limits the head of a request; a response's has no limit"),
    "response-buffer-size": BUFFERS,
    "display-name": Remark(UNNEEDED, "`penstock status` names the workers"),
    "server-metrics": Remark(CHANGED, "admin_bind answers /metrics for Prometheus"),
    "python-eggs": Remark(UNNEEDED, "wheels need no directory to be unpacked in"),
    "stack-size": Remark(UNSUPPORTED, "threads have Python's own: threading.stack_size() in a hook changes it"),
    "memory-limit": Becomes("limit_memory", changed="the address space, of which more is needed than of memory"),
    "virtual-memory-limit": Becomes("limit_memory"),
    "cpu-time-limit": Remark(UNSUPPORTED, OTHER_LIMIT),
    "cpu-priority": Becomes("nice"),
    "supplementary-groups": Remark(UNSUPPORTED, "a user brings the groups that the system gives it"),
    "chroot": Remark(UNSUPPORTED, "systemd's RootDirectory= says it"),
    "script-user": Remark(UNNEEDED, "the site's user must be able to read its files"),
    "script-group": Remark(UNNEEDED, "the site's user must be able to read its files"),
}

SETTINGS: Mapping[str, Becomes] = {
    "customlog": Becomes("access_log", log_file, changed="in the format combined, or as access_log_format says"),
    "transferlog": Becomes("access_log", log_file, changed="in the format combined"),
    "errorlog": Becomes("error_log", log_file),
    "loglevel": Becomes(
        "log_level",
        lambda words: {"warn": "warning", "notice": "info", "crit": "error", "emerg": "error", "alert": "error"}.get(
            words[0].lower(), "debug" if words[0].lower().startswith("trace") else words[0].lower()
        ),
    ),
    "limitrequestbody": Becomes("max_body", lambda words: UNLIMITED if words[0] == "0" else words[0]),
    "limitrequestfields": Becomes("max_fields"),
    "limitrequestline": Becomes("max_request_line"),
    "keepalivetimeout": Becomes("keep_alive_timeout"),
    "pidfile": Becomes("pid_file"),
    "wsgitrustedproxies": Becomes("forwarded_allow", lambda words: [*words, "unix"]),
    "wsgipythonpath": Becomes("python_path", lambda words: words[0].split(":")),
    "setenv": Becomes(
        "environment",
        lambda words: {words[0]: " ".join(words[1:])},
        "a variable of the process; Apache put it into the environ of each request, which wsgi.py had to copy",
    ),
}

APACHE_ONLY = Remark(UNNEEDED, "it is about Apache's own processes")
NO_FILES = Remark(UNNEEDED, "files are served below the URLs of `static` only, without listings and dotfiles")
PAGES = Remark(UNSUPPORTED, "Django's handler404 and handler500, or templates 404.html and 500.html, make such pages")
FIELDS = Remark(UNSUPPORTED, "Django's SecurityMiddleware, or a middleware of one's own, sets fields of responses")
COMPRESSION = Remark(UNSUPPORTED, "static files are sent compressed when a .br, .zst or .gz lies beside them")
INTERPRETER = Remark(UNNEEDED, "each site has processes of its own, with one main interpreter")
PYTHON = Remark(
    CHANGED, "start Penstock from that Python: its own is the site's, unless python in [sites.NAME] says so"
)

REMARKS: Mapping[str, Remark] = {
    **each(
        "loadmodule user group mutex startservers minspareservers maxspareservers minsparethreads maxsparethreads "
        "threadsperchild maxrequestworkers maxclients serverlimit maxconnectionsperchild maxrequestsperchild "
        "threadlimit defaultruntimedir coredumpdirectory servertokens serversignature traceenable "
        "hostnamelookups namevirtualhost usecanonicalname serveradmin extendedstatus threadstacksize "
        "scoreboardfile wsgisocketprefix wsgisocketrotation wsgiacceptmutex wsgidestroyinterpreter",
        APACHE_ONLY,
    ),
    **each(
        "options directoryindex documentroot indexoptions indexignore accessfilename "
        "typesconfig addtype addcharset adddefaultcharset addlanguage defaulttype mimemagicfile "
        "fileetag enablesendfile enablemmap indexstyle",
        NO_FILES,
    ),
    **each("allowoverride allowoverridelist", Remark(CHANGED, "files named .htaccess are not read: import them too")),
    **each("wsgiapplicationgroup wsgirestrictembedded wsgirestrictprocess wsgilazyinitialization", INTERPRETER),
    **each("wsgipythonhome wsgipythonexecutable", PYTHON),
    **each("allowencodedslashes mergeslashes", Remark(UNNEEDED, "paths reach the application as clients write them")),
    **each("header requestheader", FIELDS),
    **each("expiresactive expiresbytype expiresdefault", Remark(CHANGED, "static_max_age says it")),
    **each("setoutputfilter addoutputfilterbytype deflatecompressionlevel brotlicompressionquality", COMPRESSION),
    **each(
        "remoteipheader remoteiptrustedproxy remoteipinternalproxy",
        Remark(CHANGED, "forwarded_allow names the proxies whose Forwarded and X-Forwarded-For are believed"),
    ),
    **dict.fromkeys(
        (
            "wsgiscriptaliasmatch",
            "aliasmatch",
            "scriptalias",
            "scriptaliasmatch",
            "wsgidispatchscript",
            "wsgihandlerscript",
            "addhandler",
            "sethandler",
        ),
        Remark(
            UNSUPPORTED, "applications are named by `app` and `mounts`, files by `static`: patterns and CGI are not"
        ),
    ),
    "wsgiprocessgroup": Remark(UNNEEDED, "taken into account"),
    "wsgicallableobject": Remark(UNNEEDED, "taken into account"),
    "wsgipassauthorization": Remark(UNNEEDED, "the application sees Authorization, unless [[site.auth]] has used it"),
    "wsgiscriptreloading": Remark(
        CHANGED, "`penstock reload` loads new code, and keeps the old when it does not work"
    ),
    "wsgichunkedrequest": Remark(UNNEEDED, "chunked bodies are read whole, and have a CONTENT_LENGTH"),
    "wsgiimportscript": Remark(UNNEEDED, "the application is loaded before the first request"),
    "wsgienablesendfile": Remark(UNNEEDED, "wsgi.file_wrapper uses sendfile"),
    "wsgipythonoptimize": Remark(UNSUPPORTED, 'environment = { PYTHONOPTIMIZE = "1" } where Penstock is started'),
    "wsgimapheadtoget": Remark(UNNEEDED, "HEAD reaches the application as HEAD, and no body leaves"),
    "wsgitrustedproxyheaders": Remark(
        CHANGED, "Forwarded and X-Forwarded-* are read from the peers of forwarded_allow"
    ),
    "errordocument": PAGES,
    "timeout": Remark(CHANGED, "head_timeout, body_timeout and write_timeout part it; `timeout` is the application's"),
    "keepalive": Remark(UNNEEDED, 'connections are kept; keep_alive_timeout = "0s" closes them'),
    "maxkeepaliverequests": Remark(UNNEEDED, "a connection serves any number of requests"),
    "logformat": Remark(CHANGED, "access_log_format has Gunicorn's atoms"),
    "passenv": Remark(UNNEEDED, "the process sees all variables that Penstock is started with"),
    "unsetenv": Remark(UNNEEDED, "only variables that are set are there"),
    "limitrequestfieldsize": Remark(CHANGED, "max_head limits the whole head"),
    "requestreadtimeout": Remark(CHANGED, "head_timeout, body_timeout and min_body_rate limit slow clients"),
    "serverpath": Remark(UNSUPPORTED, "requests without a Host go to the default site"),
    "protocols": Remark(UNSUPPORTED, "HTTP/1.1 is spoken: keep a server in front for HTTP/2"),
}
