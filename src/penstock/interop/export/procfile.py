"""A Procfile, for platforms that start what it says and tell the port in PORT."""

import shlex

from penstock.interop.export.container import host_notes, kept
from penstock.interop.export.deployment import Deployment, Exported, alone_notes


def export(deployment: Deployment) -> Exported:
    """The file: web, and for Django the release phase."""
    words = map(shlex.quote, kept(deployment))
    lines = [" ".join(["web: penstock serve", *words, "--bind", "0.0.0.0:$PORT", "--access-log", "-"])]
    told = ["forwarded_allow: name the platform's own network, so that the clients' addresses are believed"]
    told += [*host_notes(deployment), *alone_notes(deployment)]
    if deployment.settings:
        lines.append("release: python manage.py migrate --no-input")
    if deployment.secrets:
        told.append(f"secrets are not written: the platform has to set {', '.join(deployment.secrets)}")
    return Exported({"Procfile": "\n".join(lines) + "\n"}, told)
