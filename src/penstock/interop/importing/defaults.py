"""What another server does where nothing is said, and Penstock does otherwise. Only notes: it sets nothing."""

from penstock.interop.importing.draft import Draft, Site


def explain(draft: Draft, site: Site, server: str, worker: str) -> None:
    """Notes on what nobody has said; `worker` is what `server` calls its processes."""
    if "workers" not in site.settings:
        draft.note(
            f"{server} starts one {worker} unless told otherwise; Penstock one for each CPU. workers = 1: as before."
        )
    if "threads" not in site.settings:
        draft.note(
            f"{server} calls the application from one thread of each {worker} unless told otherwise; Penstock from up "
            "to eight. threads = 1, if the code is not safe for threads."
        )
