"""The kinds of `penstock export`, and its options beside the settings. One table each; cli.py reads them."""

from typing import NamedTuple

# What becomes of several sites: files for all together, files for each, or a refusal.
TOGETHER, EACH, NONE = "together", "each", "none"


class Kind(NamedTuple):
    """One kind: the module that knows it, what it makes, and what it makes of several sites."""

    module: str
    makes: str
    sites: str = TOGETHER


KINDS = {
    "nginx": Kind("nginx", "a site of nginx in front of Penstock or uWSGI"),
    "apache": Kind("apache", "a site of Apache in front of Penstock"),
    "haproxy": Kind("haproxy", "HAProxy in front of Penstock"),
    "systemd": Kind("systemd", "a service and its socket"),
    "docker": Kind("docker", "a Dockerfile and .dockerignore", NONE),
    "kubernetes": Kind("kubernetes", "the manifests of a deployment", NONE),
    "procfile": Kind("procfile", "a Procfile"),
    "gunicorn": Kind("gunicorn", "gunicorn.conf.py, to serve with Gunicorn instead", EACH),
    "uwsgi": Kind("uwsgi", "an .ini file, to serve with uWSGI instead", EACH),
    "mod_wsgi": Kind("mod_wsgi", "a site of Apache with mod_wsgi instead", EACH),
}

# Each: metavar, choices and help. A switch has no metavar.
FILES = {
    "--write": ("DIR", None, "write the files into this directory; what is there already is never written over"),
    "--diff": ("", None, "show what --write would change; the status is 1 when it would change something"),
    "--force": ("", None, "write over files that are there"),
    "--json": ("", None, "files, notes and next steps as JSON, for programs"),
}
WISHES = {
    "--name": ("NAME", None, "what the site is called in the files (default: the project's name)"),
    "--listen": ("ADDR", None, "where nginx, Apache or HAProxy listens: PORT or HOST:PORT (default: 80)"),
    "--files": ("WHO", ("penstock", "proxy"), "who serves static and media files: penstock (default), or the proxy"),
    "--protocol": ("NAME", ("http", "uwsgi"), "what is spoken behind nginx: http (default), or uwsgi with uWSGI"),
    "--image": ("IMAGE", None, "the image that Kubernetes starts"),
}
