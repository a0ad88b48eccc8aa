"""What the exports for containers share: how Penstock is started inside of one, and which ports it has there."""

from penstock.interop.export.deployment import Deployment, alone_notes, is_chosen
from penstock.settings import BY_NAME

PORT = 8000
ADMIN_PORT = 8001
HEALTH = "/healthz"
USER = 10001  # nobody's on the host
# What belongs to the machine that the project was exported on, and what is so instead.
HOSTS_OWN = {
    "bind": "it listens where the platform sends requests",
    "admin_bind": "that is an address of this machine",
    "user": "the container's own user is taken instead",
    "group": "the container's own user is taken instead",
    "control": "the default is taken, for `penstock status` inside of it",
    "pid_file": "nobody reads it there",
    "access_log": "it goes to standard output, which is the container's log",
    "python": "there is one Python, which has the packages",
    "venv": "there is one Python, which has the packages",
}


def serve_command(deployment: Deployment, *more: str) -> list[str]:
    """`penstock serve` as the container's first process, with its log where the container's log is."""
    health = [] if deployment.config.health_path else [f"--health-path={HEALTH}"]
    return ["penstock", "serve", *kept(deployment), f"--bind=0.0.0.0:{PORT}", *health, "--access-log=-", *more]


def kept(deployment: Deployment) -> list[str]:
    """The arguments that mean the same in a container."""
    left_out = tuple(f"{BY_NAME[name].flag}=" for name in HOSTS_OWN)
    return [word for word in deployment.serve if not word.startswith(left_out)]


def host_notes(deployment: Deployment) -> list[str]:
    """What is not taken from this machine."""
    config = deployment.config
    return [f"{name}: {reason}" for name, reason in HOSTS_OWN.items() if is_chosen(config, name)]


def health_path(deployment: Deployment) -> str:
    """What the engine itself answers."""
    return deployment.config.health_path or HEALTH


def state_notes(deployment: Deployment) -> list[str]:
    """What a container would lose."""
    config = deployment.config
    told = [f"{place} is lost with the container: put a volume there" for place in deployment.data]
    told += [*host_notes(deployment), *alone_notes(deployment)]
    if any(not peer.startswith("127.") and peer not in ("::1", "unix") for peer in config.forwarded_allow):
        return told
    return [
        *told,
        "forwarded_allow: no proxy in front is believed until PENSTOCK_FORWARDED_ALLOW names its network (10.0.0.0/8)",
    ]
