"""The kinds of `penstock export`, and its options beside the settings. One table each; cli.py reads them."""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind: the module that knows it, and what it makes."""

    module: str
    makes: str


KINDS = {
    "nginx": Kind("nginx", "a site of nginx in front of Penstock or uWSGI"),
    "apache": Kind("apache", "a site of Apache in front of Penstock"),
    "haproxy": Kind("haproxy", "HAProxy in front of Penstock"),
    "systemd": Kind("systemd", "a service and its socket"),
    "docker": Kind("docker", "a Dockerfile and .dockerignore"),
    "kubernetes": Kind("kubernetes", "the manifests of a deployment"),
    "procfile": Kind("procfile", "a Procfile"),
    "gunicorn": Kind("gunicorn", "gunicorn.conf.py, to serve with Gunicorn instead"),
    "uwsgi": Kind("uwsgi", "an .ini file, to serve with uWSGI instead"),
    "mod_wsgi": Kind("mod_wsgi", "a site of Apache with mod_wsgi instead"),
}

# Each: metavar, choices and help. A switch has no metavar.
FILES = {
    "--write": ("DIR", None, "write the files into this directory; what is there already is never written over"),
    "--diff": ("", None, "show what --write would change; the status is 1 when it would change something"),
    "--force": ("", None, "write over files that are there"),
}
WISHES = {
    "--name": ("NAME", None, "what the site is called in the files (default: the project's name)"),
    "--listen": ("ADDR", None, "where nginx, Apache or HAProxy listens: PORT or HOST:PORT (default: 80)"),
    "--files": ("WHO", ("penstock", "proxy"), "who serves static and media files: penstock (default), or the proxy"),
    "--protocol": ("NAME", ("http", "uwsgi"), "what is spoken behind nginx: http (default), or uwsgi with uWSGI"),
    "--image": ("IMAGE", None, "the image that Kubernetes starts"),
}
