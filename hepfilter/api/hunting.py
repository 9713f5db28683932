"""`hepfilter hunt` as a call: a search for a resonance of two fat jets, without a model of the signal."""

from typing import TYPE_CHECKING

from hepfilter.api.progress import Progress, shown
from hepfilter.api.verbs import Files, as_sources
from hepfilter.errors import UsageError, nearest

if TYPE_CHECKING:
    from hepfilter.training.references import Method
    from hepfilter.training.weak import WeakResult


def hunt(
    files: Files,
    *,
    signal_region: tuple[float, float],
    sidebands: tuple[float, float],
    jets: str = "AK10Jet",
    method: "Method" = "cwola",
    folds: int = 5,
    members: int = 10,
    seed: int = 1,
    progress: Progress | None = None,
) -> "WeakResult":
    """Search for an excess in the mass of two `jets`, between the edges of `signal_region` (GeV), by weak supervision.

    `sidebands` are the outer edges of the two regions beside it (GeV). Boosted trees, `members` of them in each of the
    `folds`, learn to tell the regions apart; no event is scored by trees that trained on it. Events count alike:
    UsageError for an unknown `method`, and for simulated background whose weights differ.
    """
    from hepfilter.io.dijets import read_dijets
    from hepfilter.training.references import METHODS, MassWindow
    from hepfilter.training.weak import WeakOptions, weak_search

    if method not in METHODS:
        raise UsageError(f"no method {method!r}; methods: {', '.join(METHODS)}{nearest(method, METHODS)}")
    window = MassWindow(low=signal_region[0], high=signal_region[1], lower=sidebands[0], upper=sidebands[1])
    options = WeakOptions(method=method, folds=folds, members=members, seed=seed)
    with shown(progress) as report:
        sample = read_dijets(as_sources(files), jets=jets, progress=report)
        if sample.is_simulated:
            sample.refuse_unequal_weights()
        return weak_search(sample.events.features, sample.events.mass, window, options=options, progress=report)
