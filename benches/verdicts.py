"""When a target counts as reached: medians of a row in, lines of the result's table out. It measures nothing.

`None` for reached means that something which the comparison needs was not measured.
"""

from dataclasses import dataclass

from measurements import Sample

OURS, LOOP = "penstock", "in-process"


@dataclass(frozen=True)
class Verdict:
    """One line of the result's table; `ratio` is to the best peer, or to the loop where the target speaks of it."""

    work: str
    target: str
    ours: str
    best_peer: str
    ratio: str = "-"
    reached: bool | None = None


@dataclass(frozen=True)
class Figures:
    """Medians of one row: by server, by metric."""

    medians: dict[str, Sample]

    def get(self, server: str, metric: str) -> float | None:
        """None when it was not measured."""
        return self.medians.get(server, {}).get(metric)

    def best(self, metric: str, lowest: bool = False) -> tuple[str, float] | None:
        """The peer that does best, by name and figure."""
        figures = {name: sample[metric] for name, sample in self.medians.items() if metric in sample}
        peers = [(name, figure) for name, figure in figures.items() if name not in (OURS, LOOP)]
        return (min if lowest else max)(peers, key=lambda peer: peer[1], default=None)


def number(value: float | None, unit: str = "") -> str:
    """For people: three digits, or whole thousands."""
    if value is None:
        return "not measured"
    return f"{value:,.0f} {unit}".rstrip() if abs(value) >= 100 else f"{value:.3g} {unit}".rstrip()


def peer_text(best: tuple[str, float] | None, unit: str) -> str:
    return "-" if best is None else f"{best[0]} {number(best[1], unit)}"


def compare(
    work: str,
    target: str,
    figures: Figures,
    metric: str,
    *,
    bound: float,
    unit: str = "/s",
    lowest: bool = False,
    peer: str = "",
) -> Verdict:
    """Ours divided by the best peer's, or the named one's, must be at least `bound`; for `lowest`, at most.

    Beside the ratio stands that of the CPU time a request, where both have one: other work disturbs it less.
    """
    ours, other = figures.get(OURS, metric), figures.best(metric, lowest)
    if peer:
        theirs = figures.get(peer, metric)
        other = None if theirs is None else (peer, theirs)
    shown = number(ours, unit), peer_text(other, unit)
    if ours is None or other is None:
        return Verdict(work, target, *shown)
    ratio = ours / other[1]
    our_cpu, their_cpu = figures.get(OURS, "cpu_us"), figures.get(other[0], "cpu_us")
    by_cpu = f" (by CPU {their_cpu / our_cpu:.2f})" if our_cpu and their_cpu else ""
    return Verdict(work, target, *shown, f"{ratio:.2f}{by_cpu}", ratio <= bound if lowest else ratio >= bound)


def absolute(
    work: str,
    target: str,
    figures: Figures,
    metric: str,
    *,
    unit: str = "",
    at_most: float | None = None,
    at_least: float | None = None,
) -> Verdict:
    """Ours itself must keep the bound; the best peer is shown beside it."""
    ours = figures.get(OURS, metric)
    shown = number(ours, unit), peer_text(figures.best(metric, lowest=at_most is not None), unit)
    if ours is None:
        return Verdict(work, target, *shown)
    reached = (at_most is None or ours <= at_most) and (at_least is None or ours >= at_least)
    return Verdict(work, target, *shown, reached=reached)


def part_of_loop(work: str, target: str, figures: Figures, *, bound: float) -> Verdict:
    """Our rate as a part of the application's own in a loop, and the same by CPU time."""
    ours, best = figures.get(OURS, "of_loop"), figures.best("of_loop")
    shown = f"{number(figures.get(OURS, 'rate'), '/s')} of {number(figures.get(LOOP, 'rate'), '/s')}"
    if ours is None:
        return Verdict(work, target, shown, peer_text(best, ""))
    by_cpu = number(figures.get(OURS, "of_loop_by_cpu"))
    return Verdict(work, target, shown, peer_text(best, ""), f"{ours:.3g} (by CPU {by_cpu})", ours >= bound)
