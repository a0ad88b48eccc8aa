"""THE table of what `penstock check` can find: id, reason and fix, once. The reference page comes from here.

Looks at nothing; the modules beside this one do. An id stands for the same thing for ever: a rule that goes leaves a
gap. The letter is the level (E error, W warning, I information), the first digit the theme.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

THEMES: Mapping[str, str] = {
    "0": "Application",
    "1": "Security",
    "2": "Files",
    "3": "Proxies and HTTPS",
    "4": "Limits that contradict each other",
    "5": "Capacity",
    "6": "Users and secrets",
    "7": "The live site",
}
DJANGO = "Django"  # the theme of what is Django's own
LEVELS = {"E": "error", "W": "warning", "I": "info"}


class Rule(NamedTuple):
    """One thing that can be wrong. `deploy`: only looked for with --deploy.

    `instead_of` are Django's own findings about the same thing, which are left out when this one is shown.
    """

    id: str
    title: str
    why: str
    fix: str
    deploy: bool = False
    instead_of: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """error, warning or info."""
        return LEVELS[self.id[0]]

    @property
    def theme(self) -> str:
        """The heading that it stands under."""
        return THEMES[self.id[1]]


TABLE = (
    Rule(
        "E001",
        "There is no application",
        "`penstock serve` would end with the same error.",
        "`penstock explain` shows what was looked at",
    ),
    Rule(
        "E002",
        "The application cannot be loaded",
        "`penstock serve` would end with the same error.",
        "mend the line that the traceback ends with",
    ),
    Rule(
        "E003",
        "The URLconf cannot be imported",
        "Every request would be answered with 500; `penstock serve` does not start.",
        "mend the line that the traceback ends with",
    ),
    Rule(
        "E004",
        "Django's own checks stopped with an exception",
        "What they would have found is not known.",
        "run `python manage.py check` for the whole traceback",
    ),
    Rule(
        "E005",
        "The application is an ASGI one",
        "Penstock calls applications as WSGI does: app(environ, start_response).",
        "serve the project's wsgi.py; WSGI_APPLICATION names its `application`",
    ),
    Rule(
        "W006",
        "A middleware is asynchronous only",
        "Under WSGI each request passes through an event loop of its own to reach it, which costs time and a thread.",
        "set sync_capable on it and write its synchronous half, or take it out",
    ),
    Rule(
        "E007",
        "Penstock's configuration cannot be read",
        "`penstock serve` would end with the same error.",
        "mend the value; `penstock explain` shows where each one comes from",
    ),
    Rule(
        "W008",
        "silenced_checks names an id that there is not",
        "What it was meant to silence is shown.",
        "the ids are in docs/reference/checks.md",
    ),
    Rule(
        "E009",
        "A layer breaks WSGI's contract",
        "What stands around it, or the server, may fail for it: here, or with another server only.",
        "mend the layer, or take it out of middleware",
    ),
    Rule(
        "E010",
        "A middleware or a mount cannot be loaded",
        "`penstock serve` would end with the same error.",
        "mend the line that the traceback ends with, or correct the name",
    ),
    Rule(
        "W011",
        "manage.py runserver stays Django's",
        "Of two apps with the same command Django takes the one that stands first in INSTALLED_APPS.",
        'write "penstock.django" in front of "django.contrib.staticfiles"',
    ),
    Rule(
        "E101",
        "DEBUG is on",
        "Whoever meets an error sees the settings, the source code and the queries.",
        "set DEBUG = False in the production settings",
        deploy=True,
        instead_of=("security.W018",),
    ),
    Rule(
        "E102",
        "SECRET_KEY is empty",
        "Sessions, messages and password resets need it: those pages fail with 500.",
        "read it from the environment or .env: `SECRET_KEY = os.environ['DJANGO_SECRET_KEY']`",
        instead_of=("security.W009",),
    ),
    Rule(
        "E103",
        "SECRET_KEY is one that others know",
        "Whoever knows it can log in as anybody.",
        "keep a random one in .env: `python -c 'import secrets; print(secrets.token_urlsafe(50))'` makes one",
        deploy=True,
        instead_of=("security.W009",),
    ),
    Rule(
        "W104",
        "SECRET_KEY is short",
        "It can be found by trying.",
        "keep a random one in .env: `python -c 'import secrets; print(secrets.token_urlsafe(50))'` makes one",
        deploy=True,
        instead_of=("security.W009",),
    ),
    Rule(
        "W105",
        "SECRET_KEY stands in the source code",
        "Whoever may read the repository, or a copy of it, can log in as anybody.",
        "read it from the environment or .env: `SECRET_KEY = os.environ['DJANGO_SECRET_KEY']`",
        deploy=True,
    ),
    Rule(
        "E106",
        "ALLOWED_HOSTS is empty",
        "With DEBUG off, every request is answered with 400.",
        "name the site: `ALLOWED_HOSTS = ['www.example.org']`",
        deploy=True,
        instead_of=("security.W020",),
    ),
    Rule(
        "W107",
        "ALLOWED_HOSTS allows every name",
        "Anybody can have links in mails and pages, such as that of a password reset, lead to a host of their own.",
        "name the site: `ALLOWED_HOSTS = ['www.example.org']`",
        deploy=True,
    ),
    Rule(
        "W108",
        "CSRF_TRUSTED_ORIGINS trusts a page that came without TLS",
        "Whoever can change that page on its way can post forms in the name of your users.",
        "write https:// in front of it",
        deploy=True,
    ),
    Rule(
        "I109",
        "CSRF_TRUSTED_ORIGINS trusts a site that ALLOWED_HOSTS does not name",
        "Pages of that site may post forms here; or it is a name of this site that ALLOWED_HOSTS should have.",
        "take it out unless another site does post here",
        deploy=True,
    ),
    Rule(
        "E201",
        "STATIC_ROOT is not set",
        "Style sheets and scripts are not served with DEBUG off.",
        "set `STATIC_ROOT = BASE_DIR / 'var/static'` and run `python manage.py collectstatic`",
        deploy=True,
    ),
    Rule(
        "E202",
        "Static files are not collected",
        "Style sheets and scripts are not served with DEBUG off.",
        "run `python manage.py collectstatic`",
        deploy=True,
    ),
    Rule(
        "W203",
        "Static files have changed since they were collected",
        "Visitors get the old ones, or 404 for the new ones.",
        "run `python manage.py collectstatic`",
        deploy=True,
    ),
    Rule(
        "E204",
        "The manifest of static files is missing",
        "Each {% static %} in a template raises ValueError: those pages are answered with 500.",
        "run `python manage.py collectstatic`",
        deploy=True,
    ),
    Rule(
        "E205",
        "Static files are missing from the manifest",
        "{% static %} raises ValueError for them: those pages are answered with 500.",
        "run `python manage.py collectstatic`",
        deploy=True,
    ),
    Rule(
        "E206",
        "The manifest names files that are not there",
        "Pages refer to them, and browsers get 404.",
        "run `python manage.py collectstatic`; a deployment has to bring the manifest and its files together",
        deploy=True,
    ),
    Rule(
        "E207",
        "Uploads and static files share a place",
        "An upload can replace a style sheet or a script of the site, and `collectstatic --clear` deletes uploads.",
        "give MEDIA_ROOT and MEDIA_URL a place of their own, beside those of static files",
    ),
    Rule(
        "E208",
        "A secret lies in a directory that is served",
        "Everybody can download it.",
        "move it out, or serve a directory that holds nothing else than files for visitors",
    ),
    Rule(
        "W209",
        "A URL of files covers the whole site",
        "They would hide the application, so Penstock leaves these files to it: they are not served with DEBUG off.",
        "set STATIC_URL = 'static/' and MEDIA_URL = 'media/'",
    ),
    Rule(
        "E210",
        "Uploads cannot be written",
        "A form with a file is answered with 500.",
        "make MEDIA_ROOT writable for the user that the site runs as",
        deploy=True,
    ),
    Rule(
        "W211",
        "The setting static names no directory",
        "Its URL is not served.",
        "make the directory, or correct its name; relative names refer to the file that names them",
    ),
    Rule(
        "E301",
        "Every peer is believed, and clients can reach the server",
        "A client can choose its own address, host and scheme, also with SECURE_PROXY_SSL_HEADER.",
        "name the proxies in forwarded_allow (uwsgi_allow), or listen on a socket that only the proxy reaches",
        deploy=True,
    ),
    Rule(
        "E302",
        "SECURE_PROXY_SSL_HEADER trusts a field that every client can send",
        "Penstock drops the X-Forwarded-* and Forwarded of strangers, not this one: anybody can pretend to use https.",
        "take the setting out: Penstock tells Django the scheme, from X-Forwarded-Proto of forwarded_allow",
        deploy=True,
    ),
    Rule(
        "E303",
        "SECURE_SSL_REDIRECT is on, and no proxy is believed",
        "Nobody's request can ever be https: every page redirects to itself.",
        "name the proxy that ends TLS in forwarded_allow",
        deploy=True,
    ),
    Rule(
        "W304",
        "SECURE_SSL_REDIRECT is on, and only proxies on this machine are believed",
        "If the proxy that ends TLS is on another one, every page redirects to itself.",
        "name the proxy in forwarded_allow, or listen on 127.0.0.1 or a unix socket if it is on this machine",
        deploy=True,
    ),
    Rule(
        "W305",
        "Idle connections are closed before proxies let them go",
        "A proxy that sends a request at that moment answers 502. nginx and load balancers keep them for 60 seconds.",
        "set keep_alive_timeout above the proxy's own time; 75s is the default",
        deploy=True,
    ),
    Rule(
        "I306",
        "SECURE_PROXY_SSL_HEADER is not needed",
        "Penstock tells Django the scheme already, and only proxies of forwarded_allow can say it.",
        "take the setting out, unless another server serves this project too",
        deploy=True,
    ),
    Rule(
        "W401",
        "A reload gives requests less time than they may take",
        "What takes longer than graceful_timeout is cut off at each reload, though timeout allows it.",
        "set graceful_timeout to at least timeout",
    ),
    Rule(
        "W402",
        "A setting has no effect beside another",
        "What it was meant for does not happen.",
        "correct one of the two",
    ),
    Rule(
        "W403",
        "systemd kills the site before its requests are finished",
        "TimeoutStopSec ends sooner than graceful_timeout.",
        "set TimeoutStopSec a few seconds above graceful_timeout, and run `systemctl daemon-reload`",
        deploy=True,
    ),
    Rule(
        "W501",
        "The site may ask the database for more connections than there are",
        "Requests fail with 500 ('too many clients') when much is going on.",
        "lower workers or threads, use a pool with a max_size, or raise the database's max_connections",
        deploy=True,
    ),
    Rule(
        "W502",
        "The database does not answer",
        "Most pages fail with 500, and its limits cannot be checked.",
        "start it, or correct DATABASES",
        deploy=True,
    ),
    Rule(
        "E503",
        "A pool of connections is combined with CONN_MAX_AGE",
        "Django refuses that: every request that asks the database is answered with 500.",
        "set CONN_MAX_AGE = 0 when OPTIONS has a pool",
    ),
    Rule(
        "W504",
        "The pool has fewer connections than a worker has threads",
        "When all threads are busy, requests wait for a connection, and may fail with a PoolTimeout.",
        "set the pool's max_size to at least threads",
        deploy=True,
    ),
    Rule(
        "I505",
        "Each request connects to the database anew",
        "That takes milliseconds, more over a network.",
        "set CONN_MAX_AGE = 60 and CONN_HEALTH_CHECKS = True, or use a pool",
        deploy=True,
    ),
    Rule(
        "W506",
        "The workers may need more memory than there is",
        "The system kills a process when the memory is used up, with its requests.",
        "lower workers, or set max_memory so that a worker that has grown is replaced",
        deploy=True,
    ),
    Rule(
        "W507",
        "The system allows too few open files",
        "Connections that it does not allow stay in the backlog.",
        "raise LimitNOFILE= of the systemd unit, or `ulimit -n`",
        deploy=True,
    ),
    Rule(
        "W508",
        "The system keeps fewer connections waiting than backlog says",
        "When many come at once, the others are refused.",
        "run `sysctl net.core.somaxconn=4096`, and keep it in /etc/sysctl.d, or lower backlog",
        deploy=True,
    ),
    Rule(
        "I509",
        "Several workers write to one SQLite file",
        "A request that reads and then writes may fail at once with 'database is locked'.",
        "set `'OPTIONS': {'transaction_mode': 'IMMEDIATE', 'init_command': 'PRAGMA journal_mode=WAL'}`",
        deploy=True,
    ),
    Rule(
        "E510",
        "Migrations are not applied",
        "Pages that need those tables or columns are answered with 500.",
        "run `python manage.py migrate`",
        deploy=True,
    ),
    Rule(
        "W601",
        "A file with secrets can be read by every user of this machine",
        "Each of them can read its passwords and keys.",
        "run `chmod o-rwx` on it",
        deploy=True,
    ),
    Rule(
        "W602",
        "The database's file is open to every user of this machine",
        "Each of them can read, or change, all that the site keeps.",
        "run `chmod o-rwx` on it",
        deploy=True,
    ),
    Rule(
        "W603",
        "The site would run as root",
        "A mistake in the application, or in a library of it, gives away the whole machine.",
        "run it as a user of its own: User= in the systemd unit, USER in the Dockerfile",
        deploy=True,
    ),
    Rule(
        "E701",
        "The site does not start",
        "`penstock serve` with the same arguments ended, or was not ready in time.",
        "mend what the last lines of its log name",
    ),
    Rule(
        "E702",
        "Every request is answered with 400",
        "Django refuses the Host: it is not in ALLOWED_HOSTS.",
        "name the site: `ALLOWED_HOSTS = ['www.example.org']`",
    ),
    Rule(
        "E703",
        "A page is answered with an error",
        "Visitors see 'Server Error (500)'.",
        "mend the line that the traceback ends with",
    ),
    Rule(
        "I704",
        "There is nothing at /",
        "Whoever types the site's name sees 'Not Found'.",
        "add a path('', …) to the URLconf, unless everything is meant to be below other paths",
    ),
    Rule(
        "E705",
        "The site redirects https to itself without end",
        "Django does not know that the request came by https, and sends it there again.",
        "take SECURE_PROXY_SSL_HEADER out: Penstock tells Django the scheme; name the proxy in forwarded_allow",
    ),
    Rule(
        "E706",
        "Static files are not served",
        "Pages have no style, and scripts do not run.",
        "run `python manage.py collectstatic`",
    ),
    Rule(
        "E707",
        "Visitors see Django's page for developers",
        "It shows the URLconf, the settings and the source code.",
        "set DEBUG = False in the production settings",
        deploy=True,
    ),
    Rule(
        "W708",
        "A page that does not exist is not answered with 404",
        "Search engines keep it, and mistakes in links are not noticed.",
        "answer unknown paths with 404; a 500 here is often a broken 404.html",
    ),
    Rule(
        "W709",
        "A form without its CSRF token is accepted",
        "Other sites can post it in the name of your users.",
        "keep CsrfViewMiddleware in MIDDLEWARE, and csrf_exempt for views that check who asks by themselves",
    ),
    Rule(
        "W710",
        "The site answers to every name",
        "A Host that is not yours was answered as your own.",
        "name the site: `ALLOWED_HOSTS = ['www.example.org']`",
        deploy=True,
    ),
    Rule(
        "E711",
        "A page refers to static files that are not served",
        "They are missing for every visitor of that page.",
        "run `python manage.py collectstatic`, or correct the template",
    ),
)

BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in TABLE}
PREFIX = "penstock."


def page_lines() -> Iterator[str]:
    """The lines of the reference page, for reference.py: rule by rule in the order of the table."""
    yield "What [`penstock check`](../guides/checks.md) can find. E is an error, W a warning, I information. Those"
    yield "marked *deploy* are looked for with `--deploy`, those of the live site with `--live`, E009 with `--layers`."
    theme = ""
    for rule in TABLE:
        if rule.theme != theme:
            theme = rule.theme
            yield ""
            yield f"## {theme}"
        yield ""
        yield f"### {PREFIX}{rule.id}"
        yield ""
        yield f"{rule.title}{' (*deploy*)' if rule.deploy else ''}. {rule.why}"
        yield ""
        yield f"Fix: {rule.fix}."
        if rule.instead_of:
            yield ""
            yield f"Stands for Django's {', '.join(f'`{id}`' for id in rule.instead_of)} too."
