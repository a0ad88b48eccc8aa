"""What the exports for containers share: how Penstock is started inside of one, and which ports it has there."""

from penstock.interop.export.deployment import Deployment

PORT = 8000
ADMIN_PORT = 8001
HEALTH = "/healthz"
USER = 10001  # nobody's on the host
# What belongs to the machine that the project was exported on.
HOSTS_OWN = ("--bind=", "--admin-bind=", "--user=", "--group=", "--control=", "--pid-file=", "--access-log=")


def serve_command(deployment: Deployment, *more: str) -> list[str]:
    """`penstock serve` as the container's first process, with its log where the container's log is."""
    kept = [word for word in deployment.serve if not word.startswith(HOSTS_OWN)]
    health = [] if deployment.config.health_path else [f"--health-path={HEALTH}"]
    return ["penstock", "serve", *kept, f"--bind=0.0.0.0:{PORT}", *health, "--access-log=-", *more]


def health_path(deployment: Deployment) -> str:
    """What the engine itself answers."""
    return deployment.config.health_path or HEALTH


def state_notes(deployment: Deployment) -> list[str]:
    """What a container would lose."""
    config = deployment.config
    told = [f"{place} is lost with the container: put a volume there" for place in deployment.data]
    if config.user or config.group:
        told.append("user and group: the container's own user is taken instead")
    if any(not peer.startswith("127.") and peer not in ("::1", "unix") for peer in config.forwarded_allow):
        return told
    return [
        *told,
        "forwarded_allow: no proxy in front is believed until PENSTOCK_FORWARDED_ALLOW names its network (10.0.0.0/8)",
    ]
