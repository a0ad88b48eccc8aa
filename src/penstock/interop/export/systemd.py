"""Units of systemd: the service, and the socket that outlives it. The site may do what it needs, and nothing else."""

import os
import pwd
import shutil
import sys

from penstock.interop.export.deployment import Deployment, Exported, alone_notes, is_chosen

# Longer than graceful_timeout, for what Penstock itself has to do then.
MARGIN = 10


def export(deployment: Deployment) -> Exported:
    """NAME.service and, where Penstock would bind addresses, NAME.socket."""
    name = deployment.name
    sockets = [one for one in deployment.config.bind if not one.startswith("fd://")]
    files = {f"{name}.service": service(deployment, sockets)}
    if sockets:
        files[f"{name}.socket"] = socket(deployment, sockets)
    units = " ".join(sorted(files, reverse=True))
    return Exported(
        files,
        notes(deployment),
        [
            f"put {' and '.join(files)} into /etc/systemd/system",
            f"systemctl daemon-reload && systemctl enable --now {units}",
        ],
    )


def service(deployment: Deployment, sockets: list[str]) -> str:
    """The service."""
    config, name = deployment.config, deployment.name
    penstock = program()
    words = [
        word for word in deployment.serve if not word.startswith(("--bind=", "--control=", "--user=", "--group="))
    ]
    if sockets:
        words.append("--bind=fd://web")
    words.append(f"--control=/run/{name}/control")
    user = user_of(deployment)
    home = home_protection(deployment)
    lines = [
        "[Unit]",
        f"Description={name}",
        "After=network.target",
        *([f"Requires={name}.socket"] if sockets else []),
        "",
        "[Service]",
        "Type=notify",
        *([f"User={user}"] if user else ["# User=…  # it runs as root until you name a user"]),
        *([f"Group={config.group}"] if config.group else []),
        f"WorkingDirectory={deployment.directory}",
        f"RuntimeDirectory={name}",
        *(f"Environment={one_word(f'{key}={value}')}" for key, value in deployment.inherited.items()),
        *(f"LoadCredential={secret}:/etc/{name}/{secret}" for secret in config.secrets),
        *([f"EnvironmentFile=-/etc/{name}.env"] if deployment.secrets else []),
        f"ExecStart={' '.join(map(quoted, [penstock, 'serve', *words]))}",
        f"ExecReload={quoted(penstock)} reload --control /run/{name}/control",
        "KillMode=mixed",
        f"TimeoutStartSec={int(config.boot_timeout) + MARGIN}",
        f"TimeoutStopSec={int(config.graceful_timeout) + MARGIN}",
        "WatchdogSec=30",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "",
        "# What the site does not need, a mistake in it cannot do.",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        f"ProtectHome={home}",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        *([f"ReadWritePaths={' '.join(writable(deployment))}"] if writable(deployment) else []),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def socket(deployment: Deployment, sockets: list[str]) -> str:
    """The socket: it stays open while the service is started anew."""
    config = deployment.config
    lines = [
        "[Unit]",
        f"Description={deployment.name}: where it listens",
        "",
        "[Socket]",
        *(f"ListenStream={one.removeprefix('unix:')}" for one in sockets),
        "FileDescriptorName=web",
        f"Backlog={config.backlog}",
        *([f"SocketMode={0o666 & ~int(config.umask, 8):04o}"] if config.umask else []),
        "",
        "[Install]",
        "WantedBy=sockets.target",
    ]
    return "\n".join(lines) + "\n"


def program() -> str:
    """The `penstock` beside this Python."""
    beside = os.path.join(os.path.dirname(sys.executable), "penstock")
    return beside if os.path.exists(beside) else shutil.which("penstock") or "/usr/local/bin/penstock"


def quoted(word: str) -> str:
    """A word of ExecStart=, where $ means a variable."""
    return one_word(word.replace("$", "$$"))


def one_word(text: str) -> str:
    """A text that systemd reads as one word, without specifiers."""
    plain = text.replace("%", "%%")
    if not set(plain) & set(" '\"\\;"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def user_of(deployment: Deployment) -> str:
    """Who runs it: the user of the configuration, or whose the project is; "" for root."""
    if deployment.config.user:
        return str(deployment.config.user)
    owner = os.stat(deployment.directory).st_uid
    try:
        return pwd.getpwuid(owner).pw_name if owner else ""
    except KeyError:
        return str(owner)


def home_protection(deployment: Deployment) -> str:
    """yes, or read-only where the project or its Python is somebody's own."""
    places = (deployment.directory, sys.prefix, sys.base_prefix)
    return "read-only" if any(place.startswith(("/home/", "/root/", "/run/user/")) for place in places) else "yes"


def writable(deployment: Deployment) -> list[str]:
    """The directories that it writes to, each a word; with - one may be missing."""
    config = deployment.config
    logs = [path for path in (config.access_log, config.error_log, config.pid_file) if path not in ("", "-")]
    places = [*deployment.data, *map(os.path.dirname, logs), *filter(None, [config.temp_dir])]
    return [one_word(f"-{place}") for place in sorted(dict.fromkeys(places))]


def notes(deployment: Deployment) -> list[str]:
    """What a person has to see to."""
    config = deployment.config
    told = alone_notes(deployment)
    if is_chosen(config, "control"):
        told.append(f"control: it is /run/{deployment.name}/control, in the directory that systemd makes for it")
    if not user_of(deployment):
        told.append("the project is root's own and no user is set: name one with --user, or it runs as root")
    if deployment.secrets:
        told.append(
            f"secrets are not written: {', '.join(deployment.secrets)} may stand in /etc/{deployment.name}.env"
        )
    if config.secrets:
        told.append(f"each of {', '.join(config.secrets)} is a file in /etc/{deployment.name} that only root may read")
    return told
