"""From a model's definition to its network, whatever the architecture."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Final

from hepfilter.config.model import CustomArchitecture, ModelDefinition
from hepfilter.errors import CheckpointError, nearest
from hepfilter.models.deepsets import DeepSetsNet
from hepfilter.models.edgeconv import EdgeConvNet
from hepfilter.models.heads import build_heads
from hepfilter.models.network import GraphNetwork
from hepfilter.models.transformer import TransformerNet

ENTRY_POINTS: Final = "hepfilter.architectures"
"""The group of entry points by which other packages offer networks."""

_NETWORKS: Final[Mapping[str, Callable[[ModelDefinition], GraphNetwork]]] = {
    "edgeconv": EdgeConvNet,
    "transformer": TransformerNet,
    "deepsets": DeepSetsNet,
}


def build_network(definition: ModelDefinition) -> GraphNetwork:
    """A network with fresh weights, drawn from torch's global generator; heads do not change those of the rest.

    Heads want no gradients: they are trained by themselves, after the rest.
    CheckpointError if the network of another package is not there, fails, or is no `GraphNetwork`.
    """
    architecture = definition.architecture
    if isinstance(architecture, CustomArchitecture):
        network = _custom(architecture.name, definition)
    else:
        network = _NETWORKS[architecture.kind](definition)
    network.heads = build_heads(definition, network.latent_width).requires_grad_(False)
    return network


def _custom(name: str, definition: ModelDefinition) -> GraphNetwork:
    """The network that the entry point `name` makes."""
    offered = entry_points(group=ENTRY_POINTS)
    if name not in offered.names:
        hint = nearest(name, offered.names) or f"; there are: {', '.join(sorted(offered.names)) or 'none'}"
        raise CheckpointError(f"architecture {name}: no installed package has this entry point of {ENTRY_POINTS}{hint}")
    entry_point = offered[name]
    where = f"architecture {name} ({entry_point.value})"
    try:
        network = entry_point.load()(definition)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CheckpointError(f"{where}: fails: {reason}; mend or update its package") from error
    if not isinstance(network, GraphNetwork):
        raise CheckpointError(
            f"{where}: gives {type(network).__name__}; it must give a hepfilter.models.network.GraphNetwork"
        )
    # Python itself does not refuse them: a Module's class is no ABCMeta
    missing = [
        name
        for name in ("embed", "embed_padded")
        if getattr(getattr(type(network), name), "__isabstractmethod__", False)
    ]
    if missing:
        raise CheckpointError(f"{where}: {type(network).__name__} has no {' and no '.join(missing)}; write it")
    return network
