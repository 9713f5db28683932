"""`hepfilter rates show` and `lock` as calls: what a trigger menu takes of a sample, and freezing it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepfilter.api.progress import Progress, shown
from hepfilter.api.verbs import Files, PathLike, texts
from hepfilter.skim.recipe import make_recipe

if TYPE_CHECKING:
    from hepfilter.skim.rates import RatesReport
    from hepfilter.trigger.lock import Trigger


def rates(
    menu: "PathLike | Trigger",
    files: Files,
    *,
    unblind: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    **recipe: Any,
) -> "RatesReport":
    """The rate of each path of a menu: raw, after its prescale, alone and shared, with intervals, on these files.

    `menu` is one that ships, a YAML file or a lock. Of a skim's options `model`, `scores`, `where`, `lumi_mask` and
    `schema` are taken too. UsageError if the sample is too small for the menu's budgets.
    """
    from hepfilter.skim.rates import show_rates

    with shown(progress) as report:
        asked = make_recipe(menu=menu, **recipe)
        return show_rates(texts(files), asked, device=device, unblind=unblind, progress=report)


def lock(
    menu: "PathLike | Trigger",
    files: Files,
    output: PathLike,
    *,
    future: int | None = None,
    force: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    **recipe: Any,
) -> "RatesReport":
    """Freeze a menu: tune its thresholds on these files, and write them to `output` (``.lock``).

    Predictions are for `future` events, as many as here if None. Further options are those of `rates`.
    """
    from hepfilter.skim.rates import lock_menu

    with shown(progress) as report:
        asked = make_recipe(menu=menu, **recipe)
        return lock_menu(
            texts(files), asked, Path(output), future=future, device=device, force=force, progress=report
        )  # fmt: skip
