"""What ships with hepfilter, by name: configurations and models. Quick to import, as shells complete names by it."""

from pathlib import Path
from typing import Final

MODEL_SUFFIX: Final = ".safetensors"
_PACKAGE: Final = Path(__file__).resolve().parents[1]


def config_folder() -> Path:
    """The folder of the configurations that ship: inside the package when installed, beside it in a checkout."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def shipped(kind: str) -> dict[str, Path]:
    """Name → path of the configurations of one kind ("schemas", "graphs", …) that ship, sorted by name."""
    return {path.stem: path for path in sorted((config_folder() / kind).glob("*.yaml"), key=lambda path: path.stem)}


def pretrained_models() -> dict[str, Path]:
    """Name → file of the models that ship, sorted by name."""
    files = sorted((_PACKAGE / "pretrained").glob(f"*{MODEL_SUFFIX}"))
    return {path.name.removesuffix(MODEL_SUFFIX): path for path in files}
