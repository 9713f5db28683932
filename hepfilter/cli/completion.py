"""What shells complete behind an option: names that ship, and known words. Where none fits, they go on with files."""

from collections.abc import Callable
from typing import Final

from hepfilter.config.shipped import pretrained_models, shipped

Complete = Callable[[str], list[str]]


def complete_words(*known: str) -> Complete:
    """Completes these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return complete


def complete_shipped(*kinds: str) -> Complete:
    """Completes the names of what ships: of configurations of these kinds ("schemas", …), or of "pretrained" models."""

    def complete(incomplete: str) -> list[str]:
        names = [name for kind in kinds for name in (pretrained_models() if kind == "pretrained" else shipped(kind))]
        return complete_words(*names)(incomplete)

    return complete


MODELS: Final = complete_shipped("pretrained")
SCHEMAS: Final = complete_shipped("schemas")
MENUS: Final = complete_shipped("menus")
DEVICES: Final = complete_words("auto", "cpu", "cuda")
