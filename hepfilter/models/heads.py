"""The heads of a model: its further scores, beside `interest`."""

from torch import nn

from hepfilter.config.model import ConditionalHead, FlowHead, HeadDefinition, ModelDefinition, RatioHead, SvddHead
from hepfilter.errors import CheckpointError
from hepfilter.models.conditional import Conditional
from hepfilter.models.density import Flow, LatentHead, Mahalanobis, Ratio, Svdd


def build_heads(definition: ModelDefinition, latent_width: int) -> nn.ModuleDict:
    """The heads of a model by name, in its order, with fresh weights from torch's global generator.

    CheckpointError for a name that means something to torch, as ``values`` does.
    """
    heads = nn.ModuleDict()
    for head in definition.heads:
        if hasattr(heads, head.name):
            raise CheckpointError(f"no head can be called {head.name}: torch means something else by it; rename it")
        heads[head.name] = _build(head, definition, latent_width)
    return heads


def _build(head: HeadDefinition, definition: ModelDefinition, latent_width: int) -> LatentHead | Conditional:
    if isinstance(head, ConditionalHead):
        return Conditional(head.knots)
    if isinstance(head, FlowHead):
        return Flow(latent_width, couplings=head.couplings, width=head.width)
    if isinstance(head, SvddHead):
        return Svdd(latent_width, width=head.width, layers=head.layers)
    if isinstance(head, RatioHead):
        return Ratio(latent_width, width=head.width, layers=head.layers)
    n_backgrounds = sum(not event_class.is_signal for event_class in definition.classes)
    return Mahalanobis(latent_width, 1 if head.mix == "nature" else n_backgrounds)
