"""Imports Apache's sites with mod_wsgi: each WSGIScriptAlias of a virtual host becomes a site.

What guards a path is never lost: where it cannot be said exactly, the path is closed, and the report says so.
"""

import os
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from penstock.interop.importing.apache_auth import AUTH_DIRECTIVES, Guard, read_guard
from penstock.interop.importing.apache_patterns import has_pattern, is_about_dotfiles, means_dotfiles, paths_of
from penstock.interop.importing.apache_script import read_script
from penstock.interop.importing.apache_syntax import Node, Reader
from penstock.interop.importing.apache_words import DAEMON_OPTIONS, REMARKS, SETTINGS
from penstock.interop.importing.draft import (
    CARRIED,
    OPEN,
    UNKNOWN,
    UNNEEDED,
    UNSUPPORTED,
    Directive,
    Draft,
    Into,
    Remark,
    Site,
    join,
)
from penstock.interop.importing.interpreter import import_python_path, import_venv

SECTIONS = ("directory", "location", "files")
RULES = ("require", "requireall", "requireany", "requirenone", "order", "allow", "deny", "satisfy")
TLS = "Penstock speaks no TLS: keep a server in front for it, and name that one in forwarded_allow"


class Application(NamedTuple):
    """One WSGIScriptAlias."""

    site: Site
    url: str
    script: str
    node: Node


class Context:
    """A virtual host, or what stands outside of all."""

    def __init__(self, nodes: list[Node], parent: "Context | None" = None) -> None:
        self.nodes = nodes
        self.parent = parent
        self.hosts = [
            name.split("://")[-1] for node in self.all("servername", "serveralias") for name in node.arguments
        ]
        self.has_tls = any(node.arguments[:1] in (["on"], ["On"]) for node in self.all("sslengine"))
        self.applications: list[Application] = []

    def all(self, *names: str) -> list[Node]:
        """The directives of these names that stand here."""
        return [node for node in self.nodes if node.name in names]

    def last(self, name: str) -> Node | None:
        """The directive of that name that counts: the last one here, or else outside."""
        here = self.all(name)
        return here[-1] if here else self.parent.last(name) if self.parent else None


def import_files(paths: Iterable[str], draft: Draft, read_text: Callable[[str], str]) -> None:
    """Imports files that belong to one Apache. Raises ConfigurationError with line and column."""
    reader = Reader(dict(draft.variables), read_text)
    nodes = [node for path in paths for node in reader.read(path)]
    for directive, is_fine, note in reader.resolved:
        draft.find(directive, UNNEEDED if is_fine else UNSUPPORTED, note)
    Importer(draft, reader.root).run(nodes)


class Importer:
    """Goes through the nodes; each gets its finding."""

    def __init__(self, draft: Draft, root: str) -> None:
        self.draft = draft
        self.root = root
        self.groups: dict[str, Node] = {}
        self.used: set[str] = set()
        self.directories: list[Node] = []  # those that say who may come in

    def run(self, nodes: list[Node]) -> None:
        """Imports all."""
        outside = Context([node for node in nodes if node.name != "virtualhost"])
        hosts = [node for node in nodes if node.name == "virtualhost"]
        contexts = [outside, *(Context(node.children or [], outside) for node in hosts)]
        self.directories = [one for context in contexts for one in context.all("directory") if has_rules(one)]
        for context in contexts:
            self.groups |= {node.arguments[0]: node for node in context.all("wsgidaemonprocess") if node.arguments}
        for context in contexts:
            self.find_applications(context)
        inherited = [one for context in contexts for one in context.applications]
        for node, context in zip(hosts, contexts[1:], strict=True):
            self.import_host(node, context, has_listen=bool(outside.all("listen")))
        # Applications first: what else is said may be about them.
        for is_application in (True, False):
            for context in contexts:
                for node in context.nodes:
                    if (node.name == "wsgiscriptalias") == is_application:
                        self.import_node(node, context)
            outside.applications = inherited  # what stands outside is about all
        if len(self.draft.sites) == 1 and self.draft.sites[0].hosts:
            self.draft.note(
                "There is one site: it answers every host name that reaches it. Django's ALLOWED_HOSTS decides."
            )
        if not self.draft.sites:
            self.draft.note("There is no WSGIScriptAlias, and so no application to serve.")

    def find_applications(self, context: Context) -> None:
        """Makes the sites of a context."""
        nodes = [node for node in context.all("wsgiscriptalias") if len(node.arguments) > 1]
        for node in sorted(nodes, key=lambda node: len(node.arguments[0])):
            url, script = "/" + node.arguments[0].strip("/"), join(self.root, node.arguments[1])
            main = next((one for one in context.applications if one.url == "/"), None)
            if main and is_mount(main, node, script):
                context.applications.append(Application(main.site, url, script, node))
                continue
            words = "-".join([*context.hosts[:1], *url.split("/")])
            site = self.draft.site(re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-") or "site")
            site.path = url
            site.hosts += [
                host for host in (one.partition(":")[0].lower() for one in context.hosts) if host not in site.hosts
            ]
            context.applications.append(Application(site, url, script, node))

    def import_host(self, node: Node, context: Context, has_listen: bool) -> None:
        """The <VirtualHost> itself: its addresses."""
        draft = self.draft
        if context.has_tls:
            draft.find(node.directive, UNSUPPORTED, TLS)
        elif not context.applications:
            draft.find(
                node.directive, UNSUPPORTED, "it has no WSGI application: what is in it stays with another server"
            )
        elif has_listen:
            draft.find(node.directive, CARRIED, "as a site; Listen has the addresses")
        else:
            ports = [":" + argument.rpartition(":")[2] for argument in node.arguments if ":" in argument]
            draft.set(
                context.applications[0].site,
                "bind",
                ports,
                node.directive,
                base=self.root,
                changed="each site answers on all addresses; the Host of the request tells them apart",
            )

    def import_node(self, node: Node, context: Context) -> None:
        """Reports one node outside of sections, and takes it over."""
        special = getattr(self, f"import_{node.name}", None)
        if special:
            special(node, context)
        elif node.name in SECTIONS or (has_pattern(node) and node.children is not None):
            self.import_section(node, context)
        else:
            self.import_plain(node, context)

    def import_plain(self, node: Node, context: Context) -> None:
        """A directive that means the same in each place, or a section that is not known."""
        sites = list({one.site.name: one.site for one in context.applications}.values())
        remark = REMARKS.get(node.name)
        setting = SETTINGS.get(node.name)
        if setting and node.arguments and sites:
            name, adapt, changed = setting
            for site in sites:
                self.draft.set(site, name, adapt(node.arguments), node.directive, base=self.root, changed=changed)
        elif remark:
            self.draft.find(node.directive, *remark)
        elif setting:
            self.draft.find(node.directive, UNNEEDED, "no application stands beside it")
        elif node.name.startswith("ssl"):
            self.draft.find(node.directive, UNSUPPORTED, TLS)
        elif refuses(node) and sites:
            self.draft.find(node.directive, OPEN, "refuse these paths with [[site.auth]], or in a server in front")
        elif node.name.startswith(("rewrite", "redirect")):
            self.draft.find(
                node.directive,
                UNSUPPORTED,
                "a server in front, or Django's URLs, RedirectView and SECURE_SSL_REDIRECT do it",
            )
        elif node.name.startswith("proxy"):
            self.draft.find(node.directive, UNSUPPORTED, "Penstock is no proxy: keep a server in front for this")
        elif node.name in AUTH_DIRECTIVES:
            self.draft.find(node.directive, UNSUPPORTED, "it says nothing outside of a section")
        else:
            self.draft.find(
                node.directive, UNKNOWN, "not a directive that this knows: look whether it is still needed"
            )
        for child in node.children or []:
            self.import_plain(child, context)

    def import_virtualhost(self, node: Node, _: Context) -> None:
        """Those that stand in a section; Apache refuses them."""
        self.draft.find(node.directive, UNSUPPORTED, "it may not stand in another section")

    def import_servername(self, node: Node, context: Context) -> None:
        """ServerName and ServerAlias: they are the hosts of the site."""
        if context.applications:
            self.draft.find(node.directive, CARRIED, "hosts of the site, when there are several")
        else:
            self.draft.find(node.directive, UNNEEDED, "no application stands beside it")

    import_serveralias = import_servername

    def import_listen(self, node: Node, __: Context) -> None:
        """The addresses of all sites."""
        address, _, protocol = " ".join(node.arguments).partition(" ")
        if protocol == "https" or address.rpartition(":")[2] == "443":
            self.draft.find(node.directive, UNSUPPORTED, TLS)
        elif self.draft.sites:
            address = f":{address}" if address.isdigit() else address
            self.draft.set(self.draft.sites[0], "bind", [address], node.directive, base=self.root)
        else:
            self.draft.find(node.directive, UNNEEDED, "there is no application")

    def import_wsgiscriptalias(self, node: Node, context: Context) -> None:
        """The application, and whose process it runs in."""
        application = next((one for one in context.applications if one.node is node), None)
        if application is None:
            self.draft.find(node.directive, UNSUPPORTED, "a URL and a script are missing")
            return
        site, script = application.site, application.script
        plain = read_script(script)
        if application.url != site.path and plain:
            self.draft.set(site, "mounts", {application.url: plain[0]}, node.directive, base=self.root)
            return
        options = dict(argument.partition("=")[::2] for argument in node.arguments[2:])
        group = options.get("process-group") or self.setting_of("wsgiprocessgroup", application, context)
        daemon = self.groups.get(group)
        if daemon:
            self.used.add(group)
            self.import_daemon(daemon, site)
        else:
            self.draft.note(f"{site.name} ran inside Apache's own processes; here it has its own, one for each CPU.")
        places = [site.settings.get("chdir", ""), *site.settings.get("python_path", [])]
        module, directory = module_of(script, [place for place in places if place])
        attribute = self.setting_of("wsgicallableobject", application, context)
        target = f"{module}:{attribute}" if attribute else module
        if plain:
            target, variables = plain
            if variables:
                self.draft.set(site, "environment", variables, node.directive, base=self.root)
        elif not script.endswith((".py", ".wsgi")):
            name = os.path.basename(script)
            note = f"give {name} a name that ends with .wsgi or .py, and name it in app"
            self.draft.find(node.directive, UNSUPPORTED, note)
            return
        if directory and "chdir" not in site.settings:
            self.draft.set(site, "chdir", directory, node.directive, base=self.root)
        self.draft.set(site, "app", target, node.directive, base=self.root)

    def setting_of(self, name: str, application: Application, context: Context) -> str:
        """What a directive says for an application: in its section, in its virtual host, or outside."""
        for owner in (context, context.parent):
            for node in owner.nodes if owner else []:
                if node.name in ("directory", "location") and covers(node, application):
                    inner = [one for one in node.children or [] if one.name == name and one.arguments]
                    if inner:
                        return inner[-1].arguments[0]
        outer = context.last(name)
        return outer.arguments[0] if outer and outer.arguments else ""

    def import_daemon(self, node: Node, site: Site) -> None:
        """The options of WSGIDaemonProcess, each with a finding."""
        options = [argument.partition("=")[::2] for argument in node.arguments[1:]]
        home = join(self.root, dict(options).get("home", "."))
        for argument, (name, value) in zip(node.arguments[1:], options, strict=True):
            directive = Directive(node.place, f"WSGIDaemonProcess {node.arguments[0]} {argument}")
            option = DAEMON_OPTIONS.get(name)
            if option is None:
                self.draft.find(directive, UNKNOWN, "not an option that this knows: look whether it is still needed")
            elif name == "python-home":
                import_venv(value, directive, Into(self.draft, site, self.root))
            elif name == "python-path":
                import_python_path(value.split(":"), directive, Into(self.draft, site, home))
            elif isinstance(option, Remark):
                self.draft.find(directive, *option)
            else:
                setting, adapt, changed = option
                self.draft.set(site, setting, adapt([value]), directive, base=self.root, changed=changed)

    def import_wsgidaemonprocess(self, node: Node, _: Context) -> None:
        """The group itself; its options are imported with the applications that run in it."""
        used = node.arguments and node.arguments[0] in self.used
        self.draft.find(
            node.directive, CARRIED if used else UNNEEDED, "option by option" if used else "no application runs in it"
        )

    def import_section(self, node: Node, context: Context) -> None:
        """<Directory>, <Location> and <Files>: who may see what is below."""
        self.draft.find(node.directive, UNNEEDED, "what is in it is reported line by line")
        children = self.children_of(node, context)
        guard = read_guard(node, children, self.root)
        rest = [child for child in children if child.name not in AUTH_DIRECTIVES]
        if guard.table and has_pattern(node) and not (node.name == "directory" and self.is_elsewhere(node, context)):
            self.import_pattern(guard, node, context)
        else:
            self.import_guard(guard, node, self.places_of(node, context), context)
        for child in rest:
            if child.name in ("wsgiprocessgroup", "wsgiapplicationgroup", "wsgicallableobject"):
                self.draft.find(child.directive, UNNEEDED, "taken into account")
            elif (age := max_age(child)) and (sites := self.sites_of_files(node, context)):
                for site in sites:
                    self.draft.set(site, "static_max_age", age, child.directive, base=self.root)
            elif child.children is not None:
                is_served = self.places_of(node, context) or not self.is_elsewhere(node, context)
                self.import_section(child, context if is_served else Context([], context))
            else:
                self.import_plain(child, Context([], context))

    def children_of(self, node: Node, context: Context) -> list[Node]:
        """What a section says, and what it says for a script alone; of two lists of rules the script's one counts."""
        children = node.children or []
        scripts = {os.path.basename(application.script) for application in context.applications}
        own = [one for one in children if one.name == "files" and one.arguments[-1:] and one.arguments[-1] in scripts]
        inner = [child for one in own for child in one.children or []]
        if any(child.name in RULES for child in inner):
            for child in children:
                if child.name in RULES:
                    self.draft.find(child.directive, UNNEEDED, f"{own[0].text} within has rules of its own")
            children = [child for child in children if child.name not in RULES]
        for one in own:
            self.draft.find(one.directive, UNNEEDED, "taken into account")
        return [*(child for child in children if child not in own), *inner]

    def import_pattern(self, guard: Guard, node: Node, context: Context) -> None:
        """A guard of what matches a pattern: of paths, of files that are never served, or of nothing any more."""
        if is_about_dotfiles(node) or not context.applications:
            reason = "no name that begins with a dot is served" if context.applications else "nothing is served there"
            for directive, _, _ in guard.findings:
                self.draft.find(directive, UNNEEDED, reason)
        elif paths := paths_of(node):
            plain = (node._replace(name="location", arguments=[path]) for path in paths)
            places = [place for one in plain for place in self.places_of(one, context)]
            self.import_guard(guard, node, places, context)
        else:
            for directive, _, _ in guard.findings:
                note = f"no path says what {node.text} matches: guard what it is about with [[site.auth]]"
                self.draft.find(directive, OPEN, note)

    def sites_of_files(self, node: Node, context: Context) -> list[Site]:
        """The sites whose files lie in the directory of a section, and nothing else of them."""
        aliases = [one for one in context.all("alias") if len(one.arguments) == 2 and node.name == "directory"]
        own = [one for one in aliases if join(self.root, one.arguments[1]) == join(self.root, node.arguments[-1])]
        return [owner_of(one.arguments[0], context.applications).site for one in own if context.applications]

    def is_elsewhere(self, node: Node, context: Context) -> bool:
        """Whether nothing of what is served can lie where a section, or its pattern of directories, leads."""
        if node.name != "directory" or not node.arguments:
            return not context.applications
        place = join(self.root, re.split(r"[*?\[]", node.arguments[-1])[0].rpartition("/")[0] or "/")
        roots = [join(self.root, alias.arguments[1]) for alias in context.all("alias") if len(alias.arguments) == 2]
        scripts = [application.script for application in context.applications]
        return not any(under(one, place) or under(place, one) for one in [*roots, *scripts])

    def import_guard(self, guard: Guard, node: Node, places: list[tuple[Site, str]], context: Context) -> None:
        """Reports the directives of a guard, and has it guard the places."""
        elsewhere = (UNNEEDED, "nothing of what is served stands there")
        for directive, verdict, note in guard.findings:
            self.draft.find(directive, *(elsewhere if guard.table and not places else (verdict, note)))
        if not guard.table:
            return
        for site, url in places:
            table = guard.table | {"path": url}
            if guard.table.get("provider", "none") != "none" and not context.has_tls:
                table.setdefault("over_http", True)
            earlier = [one for one in site.settings.get("auth", []) if one["path"] == url]
            if earlier and not all(earlier[0][name] == value for name, value in table.items() if name != "over_http"):
                self.draft.find(node.directive, OPEN, f"{url} has another guard already: write both in one [[auth]]")
            elif not earlier:
                note = f"guards {url}"
                if not self.draft.set(site, "auth", [table], node.directive, base=self.root, note=note):
                    self.draft.find(node.directive, OPEN, f"no rule can be made for {url}: [[site.auth]] says why")

    def places_of(self, node: Node, context: Context) -> list[tuple[Site, str]]:
        """The sites and URLs that a section is about."""
        target = node.arguments[-1] if node.arguments else "/"
        places = []
        for application in context.applications:
            is_within = application.url != application.site.path and not under(target, application.url)
            if node.name == "location" and is_within:
                continue  # a mount, whose site has the place already
            if node.name == "location":
                if under(target, application.url) or under(application.url, target):
                    places.append((application.site, target if under(target, application.url) else application.url))
            elif covers(node, application) and not self.is_overridden(node, application.script):
                places.append((application.site, application.url))
        if node.name == "directory":
            for alias in context.all("alias"):
                if len(alias.arguments) == 2 and context.applications:
                    root, url = join(self.root, alias.arguments[1]), alias.arguments[0]
                    directory = join(self.root, target)
                    site = owner_of(url, context.applications).site
                    if under(root, directory) and not self.is_overridden(node, root):
                        places.append((site, url))
                    elif under(directory, root):
                        places.append((site, f"{url.rstrip('/')}/{os.path.relpath(directory, root)}"))
        return places

    def is_overridden(self, node: Node, path: str) -> bool:
        """Whether another <Directory> that is nearer to the path says who may come in."""
        own = join(self.root, node.arguments[-1]) if node.arguments else ""
        others = [join(self.root, one.arguments[-1]) for one in self.directories if one.arguments]
        return any(under(path, other) and len(other) > len(own) for other in others)

    def import_alias(self, node: Node, context: Context) -> None:
        """Files below a URL."""
        if len(node.arguments) != 2 or not context.applications:
            self.draft.find(
                node.directive, UNSUPPORTED, "no application stands beside it: keep a server for these files"
            )
            return
        url, path = node.arguments
        if os.path.splitext(url)[1] or os.path.isfile(join(self.root, path)):
            self.draft.find(
                node.directive,
                UNSUPPORTED,
                "only directories are served below a URL: answer this one with a view, or in front",
            )
            return
        site = owner_of(url, context.applications).site
        self.draft.set(site, "static", {url: path}, node.directive, base=self.root, note=f"static: {url}")


def is_mount(main: Application, node: Node, script: str) -> bool:
    """Whether a script runs in the very interpreter of the main one, and only names another application."""
    groups = [one for one in node.arguments[2:] if one.startswith(("process-group=", "application-group="))]
    return len(groups) == 2 and groups == main.node.arguments[2:] and bool(read_script(script))


def owner_of(url: str, applications: list[Application]) -> Application:
    """The application below whose URL another one is; the longest decides."""
    fitting = [one for one in applications if under(url, one.url)]
    return max(fitting or applications, key=lambda one: len(one.url))


def covers(node: Node, application: Application) -> bool:
    """Whether a section is about an application."""
    target = node.arguments[-1] if node.arguments else "/"
    return under(application.url if node.name == "location" else application.script, target)


def under(path: str, above: str) -> bool:
    """Whether a path or a URL is another, or below it."""
    return f"{path.rstrip('/')}/".startswith(f"{above.rstrip('/')}/")


def refuses(node: Node) -> bool:
    """Whether a directive of mod_rewrite or mod_alias keeps everybody out, and not only from what is never served."""
    words = node.arguments
    if node.name == "rewriterule" and len(words) > 2:
        return bool(re.search(r"\b(F|forbidden|G|gone)\b", words[2])) and not means_dotfiles(words[0])
    if node.name.startswith("redirect") and len(words) > 1:
        return words[0] in ("403", "404", "410", "gone") and not means_dotfiles(words[1])
    return False


def max_age(node: Node) -> str:
    """The seconds that files may be kept, where a field says only that."""
    words = [word.lower() for word in node.arguments]
    found = (
        re.fullmatch(r"max-age=([0-9]+)", words[2]) if words[:2] == ["set", "cache-control"] and words[2:] else None
    )
    return found[1] if found and node.name == "header" else ""


def has_rules(node: Node) -> bool:
    """Whether a section says who may come in."""
    return any(one.name in ("require", "allow", "deny") or has_rules(one) for one in node.children or [])


def module_of(script: str, directories: list[str]) -> tuple[str, str]:
    """The module of a script as seen from one of the directories, and that directory; else its path."""
    if script.endswith(".wsgi"):
        return script, ""
    homes = sorted(directories, key=len, reverse=True)
    above = os.path.dirname(os.path.dirname(script))
    for directory in [*homes, *([above] if os.path.basename(script) == "wsgi.py" else [])]:
        if under(script, directory):
            name = os.path.relpath(script, directory).removesuffix(".py").replace("/", ".")
            if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
                return name, directory
    return script, ""
