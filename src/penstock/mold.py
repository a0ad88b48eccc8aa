"""The mold: loads the application once, and forks workers from it when the supervisor says so. Serves nothing."""

import gc
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from penstock import app, capacity, log
from penstock._native import Scoreboard
from penstock.boot import boot_deadline
from penstock.config import Config, keep_fixed, load
from penstock.errors import ConfigurationError, PenstockError
from penstock.gateway.compose import compose
from penstock.hooks import Hooks
from penstock.hooks import load as load_hooks
from penstock.privileges import Identity, become, check_access
from penstock.process_limits import process_limits_of
from penstock.processes import (
    SETTLED,
    Channel,
    Forked,
    Message,
    describe_status,
    forget_code,
    give_back_memory,
    signals_blocked,
)
from penstock.secrets import concealed
from penstock.sockets import Listener
from penstock.supervisor.limits import limits_of
from penstock.supervisor.signals import do_nothing
from penstock.worker import Worker

if TYPE_CHECKING:
    from penstock._native import StaticMount
    from penstock.sites.child import Parent


class Site(NamedTuple):
    """An application, ready to serve."""

    config: Config
    found: app.Found
    loaded: app.Loaded
    own: app.Application  # without what the configuration puts around it
    hooks: Hooks
    mounts: "list[StaticMount]"
    warnings: list[str]


class Mold:
    """One generation, from inside."""

    def __init__(
        self,
        *,
        config: Config,
        arguments: Mapping[str, Any],
        start: str,
        generation: int,
        preload: bool,
        is_new: bool,
        identity: Identity | None,
        listeners: list[Listener],
        scoreboard: Scoreboard,
        lifeline: int,
        stacks: int,
        channel: Channel,
        parent: "Parent | None",
    ) -> None:
        self.config, self.arguments, self.start = config, arguments, start
        self.generation, self.preload, self.is_new, self.identity = generation, preload, is_new, identity
        self.listeners, self.scoreboard, self.lifeline = listeners, scoreboard, lifeline
        self.stacks, self.channel, self.parent = stacks, channel, parent
        self.found: app.Found  # by run, once: all workers of a generation have the same variables
        self.site: Site | None = None

    def run(self) -> int:
        """Loads, then forks as it is told, until the supervisor ends it or goes away."""
        gc.disable()  # as at the start: see cli.serve()
        try:
            # Before another user: files with secrets may be root's alone. Nothing of the application runs in here.
            if self.generation > 1:
                self.config = self.read_configuration()
            self.found = app.find(self.config, os.environ)
            process_limits_of(self.config).apply()
            if self.identity:
                become(self.identity)
                check_access(self.identity, self.config.directory)
            config = self.config
            if self.is_new and (config.processes or config.schedule or config.release):
                self.prepare_companions()
            self.preload = self.preload and self.config.preload != "never"
            if self.preload:
                with boot_deadline(self.config.boot_timeout):
                    self.site = self.load_site()
            facts = self.facts()
        except PenstockError as error:
            self.channel.send({"event": "failed"} | error.to_message())
            leave(error.exit_code)
        threads = other_threads()
        if threads and self.config.preload == "always":
            log.warning(f"forking beside threads ({', '.join(threads)}), because preload = always: workers lack them")
            threads = []
        # Everything that is here now is shared with the workers; collecting garbage must not write to it.
        gc.freeze()
        give_back_memory()
        self.channel.send({"event": "loaded", "threads": threads} | facts)
        if threads:
            leave(0)
        while command := self.next_command():
            self.fork_worker(command["number"], command["workers"])
        leave(0)

    def next_command(self) -> Message | None:
        """Waits for a command, in as little memory as there can be; None when the supervisor has gone."""
        poll = select.poll()
        poll.register(self.channel.end, select.POLLIN)
        if not poll.poll(SETTLED * 1000):
            forget_code()
        return self.channel.receive()

    def prepare_companions(self) -> None:
        """Tells what is to run beside this generation, and runs what comes before it. Raises PenstockError."""
        from penstock.companions.plan import plan_of  # noqa: PLC0415 (few sites have any)
        from penstock.companions.release import release  # noqa: PLC0415

        variables = self.found.variables
        concealed.add((name, variable.value, variable.is_secret) for name, variable in variables.items())
        environment = {**os.environ, **{name: variable.value for name, variable in variables.items()}}
        plan = plan_of(self.config, self.found.directory, environment, sys.executable)
        if plan.processes or plan.jobs:
            for part in plan.parts():
                self.channel.send({"event": "plan", "part": part})
        if plan.release:
            timeout = self.config.release_timeout
            self.channel.send({"event": "releasing", "timeout": timeout * len(plan.release)})
            release(plan, timeout)

    def load_site(self) -> Site:
        """Loads the application, and what a Django behind it says about files. Raises PenstockError."""
        config = self.config
        loaded = app.load(self.found, config)
        own, hooks = loaded.application, load_hooks(config)
        # What is combined with the application may be what brings Django.
        application = hooks.around(compose(own, config))
        loaded = loaded._replace(application=application, uses_django="django.conf" in sys.modules)
        mounts, warnings = configured_mounts(config)
        site = Site(config, self.found, loaded, own, hooks, mounts, [*loaded.warnings, *warnings])
        temporary = capacity.temporary_directory(config.temp_dir)
        if not os.access(temporary, os.W_OK | os.X_OK):
            site.warnings.append(
                f"no temporary file can be written in {temporary}, so larger bodies than body_memory are refused; "
                "--temp-dir names another place"
            )
        if loaded.uses_django:
            prepare_django(site)
        hooks.call("on_start", self.generation)
        if self.generation > 1:
            hooks.call("on_reload", self.generation)
        return site

    def read_configuration(self) -> Config:
        """The configuration as it is now. What only a restart can change is said, and stays."""
        try:
            # A link to a release leads elsewhere by now, perhaps, and the old release may have been removed.
            os.chdir(self.start)
        except OSError as error:
            raise ConfigurationError(f"the directory {self.start} cannot be entered: {error.strerror}") from error
        return keep_fixed(load(self.arguments, os.environ, self.start), self.config)

    def facts(self) -> dict[str, Any]:
        """What the supervisor wants to know and to show."""
        facts: dict[str, Any] = {"limits": limits_of(self.config)._asdict(), "is_preloaded": self.preload}
        site = self.site
        found = self.found
        return facts | {
            "name": site.loaded.name if site else name_of(found),
            "rule": site.loaded.rule if site else found.rule,
            "directory": found.directory,
            "settings": site.loaded.settings.module if site else found.settings,
            "settings_origin": site.loaded.settings.origin if site else found.settings_origin,
            "mounts": site.mounts if site else [],
            "warnings": site.warnings if site else found.warnings,
        }

    def fork_worker(self, number: int, workers: int) -> None:
        """Forks twice: the one in between leaves at once, so that the supervisor becomes the worker's parent.

        Until it has left, the worker cannot become the supervisor's: so its pid is always told before its end is.
        """
        try:
            with signals_blocked():
                between = os.fork()
                if not between:
                    self.fork_again(number, workers)
        except OSError as error:
            self.channel.send({"event": "not forked", "number": number, "reason": error.strerror})
            return
        _, status = os.waitpid(between, 0)
        if status:
            reason = f"the process between the mold and the worker {describe_status(status)}"
            self.channel.send({"event": "not forked", "number": number, "reason": reason})

    def fork_again(self, number: int, workers: int) -> None:
        """In the process between: forks the worker and leaves."""
        try:
            pid = os.fork()
        except OSError as error:
            self.channel.send({"event": "not forked", "number": number, "reason": error.strerror})
            leave(0)
        if pid:
            self.channel.send({"event": "forked", "number": number, "pid": pid})
            leave(0)
        raise Forked(Worker(self, number, workers).run)


def name_of(found: app.Found) -> str:
    """What is known of an application's name before it is loaded."""
    if not found.module:
        return f"WSGI_APPLICATION of {found.settings}"
    return f"{found.module}:{found.attribute}" if found.attribute else found.module


def configured_mounts(config: Config) -> "tuple[list[StaticMount], list[str]]":
    """The files that the setting static names, and a sentence for each directory that is missing."""
    mounts: list[StaticMount] = []
    warnings = []
    for url, root in config.static.items():
        if not os.path.isdir(root):
            warnings.append(f"{root} is not a directory, so {url} is not served")
            continue
        mounts.append(
            {
                "prefix": url,
                "roots": [root],
                "max_age": int(config.static_max_age),
                "immutable": "hashed",
                "fall_through": False,
            }
        )
    return mounts, warnings


def prepare_django(site: Site) -> None:
    """Warms Django up, and adds the mounts that its settings name and nobody else has named."""
    from django.conf import settings  # noqa: PLC0415 (only with Django)

    from penstock.django.discovery import discover  # noqa: PLC0415
    from penstock.django.warmup import warm_up  # noqa: PLC0415

    warm_up()
    if site.config.django_static == "auto":
        found = discover(settings, int(site.config.static_max_age))
        site.mounts.extend(mount for mount in found.mounts if mount["prefix"] not in site.config.static)
        site.warnings.extend(found.warnings)


def listen_to_signals() -> None:
    """TERM ends a mold, also one that hangs in an import; what a terminal sends to everybody is for the supervisor."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, do_nothing)
    signal.signal(signal.SIGUSR1, lambda *_: log.journal.reopen())


def other_threads() -> list[str]:
    """The names of the threads beside this one, native ones too: none of them survives a fork, its locks do."""
    own = threading.get_native_id()
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    others = []
    for task in map(int, os.listdir("/proc/self/task")):
        if task != own:
            others.append(names.get(task) or capacity.read_text(f"/proc/self/task/{task}/comm").strip())
    return sorted(others)


def leave(status: int) -> NoReturn:
    """Ends this process without the application's exit handlers: it has never served."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
