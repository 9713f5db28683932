"""Our networks beside those of weaver-core (https://github.com/hqucms/weaver-core), at equal size and equal batch.

ParticleNet and ParT have the sizes that they were published with (arXiv:1902.08570, arXiv:2202.03772), ours have about
as many weights. All get the same particles, with no place left empty, and the same number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from hepfilter.config.graph import Edges, GraphSpecification, load_graph_specification
from hepfilter.config.model import Architecture, ModelDefinition, TransformerArchitecture, load_architecture
from hepfilter.errors import UsageError
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.architectures import build_network
from hepfilter.models.device import choose_device
from hepfilter.models.network import GraphNetwork
from hepfilter.scoring.benchmark import CLASSES, Machine, machine, parameters, timed, training_step
from hepfilter.scoring.generated import generated_record
from hepfilter.scoring.inference import Inference, Precision

PARTICLENET: Final = {
    "conv_params": [(16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256))],
    "fc_params": [(256, 0.1)],
    "use_fusion": False,
}
"""The sizes that ParticleNet was published with."""
_PART: Final = TransformerArchitecture(
    width=128, heads=8, layers=8, class_layers=2, pair_width=64, head_width=128, dropout=0.1
)


@dataclass(frozen=True)
class PeerMeasurement:
    """Events/s of two networks of one size.

    forward   one batch
    backward  one batch: forward, loss and gradients
    outputs   our way from graphs to outputs in a skim, beside their forward
    """

    size: str
    step: str
    precision: Precision
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours in units of theirs."""
        return self.ours / self.theirs


@dataclass(frozen=True)
class PeerReport:
    """All comparisons, on batches of `n_events` with `n_nodes` particles; `parameters` are ours and theirs by size."""

    machine: Machine
    threads: int
    n_events: int
    n_nodes: int
    parameters: dict[str, tuple[int, int]]
    measurements: tuple[PeerMeasurement, ...]


@dataclass(frozen=True)
class _Pair:
    """Two networks of one size, and what calls theirs on their own form of the same events."""

    size: str
    ours: GraphNetwork
    theirs: nn.Module
    call_theirs: Callable[[], Tensor]


def compare(
    *,
    device: str = "auto",
    precisions: Sequence[Precision] = ("float32", "bfloat16"),
    n_events: int = 64,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> PeerReport:
    """Time both pairs of networks; UsageError if weaver-core is not installed. `progress`: as (stage, done, in all)."""
    chosen = choose_device(device)
    specification = load_graph_specification("particles")
    graphs = _full_events(n_events, specification)
    sizes, rows = {}, []
    for done, pair in enumerate(_pairs(specification, graphs, chosen)):
        progress("comparing", done, 2)
        sizes[pair.size] = (parameters(pair.ours), parameters(pair.theirs))
        for precision in precisions:
            rows += _compared(pair, graphs, chosen, precision)
    n_nodes = graphs.mask.shape[1]
    return PeerReport(machine(chosen), torch.get_num_threads(), n_events, n_nodes, sizes, tuple(rows))


def _compared(pair: _Pair, graphs: PaddedGraphs, device: torch.device, precision: Precision) -> list[PeerMeasurement]:
    """All steps in one precision."""
    moved, n_events = graphs.to(device), len(graphs)
    inference = Inference(pair.ours, device, threads=torch.get_num_threads(), precision=precision)

    def rate(run: Callable[[], object]) -> float:
        return n_events / timed(run, device)[1]

    def both(run: Callable[[Callable[[], Tensor]], object]) -> tuple[float, float]:
        return rate(lambda: run(lambda: pair.ours.forward_padded(moved))), rate(lambda: run(pair.call_theirs))

    def forward(call: Callable[[], Tensor]) -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            call()

    pair.ours.eval(), pair.theirs.eval()
    forwards, as_in_a_skim = both(forward), rate(lambda: inference.outputs(graphs))
    pair.ours.train(), pair.theirs.train()
    backwards = both(lambda call: training_step(call, device, precision))
    steps = {"forward": forwards, "backward": backwards, "outputs": (as_in_a_skim, forwards[1])}
    return [PeerMeasurement(pair.size, step, precision, *rates) for step, rates in steps.items()]


def _pairs(specification: GraphSpecification, graphs: PaddedGraphs, device: torch.device) -> Iterator[_Pair]:
    """ParticleNet, then ParT."""
    try:
        from weaver.nn.model.ParticleNet import ParticleNet
        from weaver.nn.model.ParticleTransformer import ParticleTransformer
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the comparison needs weaver-core ({error.name} is not installed): pip install weaver-core"
        ) from error
    n_features, n_pairs = specification.widths
    features = graphs.features.transpose(1, 2).contiguous().to(device)
    mask = graphs.mask.unsqueeze(1).float().to(device)
    points = graphs.momenta[..., 1:3].transpose(1, 2).contiguous().to(device)
    particle_net = ParticleNet(n_features, len(CLASSES), **PARTICLENET).to(device)
    ours = _ours(load_architecture("particlenet"), specification).to(device)
    yield _Pair("ParticleNet", ours, particle_net, lambda: particle_net(points, features, mask))
    vectors = four_momenta(graphs).transpose(1, 2).contiguous().to(device)
    transformer = ParticleTransformer(n_features, len(CLASSES), pair_input_dim=n_pairs).to(device)
    ours = _ours(_PART, specification.model_copy(update={"edges": Edges(kind="full")})).to(device)
    yield _Pair("ParT", ours, transformer, lambda: transformer(features, v=vectors, mask=mask))


def _ours(architecture: Architecture, specification: GraphSpecification) -> GraphNetwork:
    return build_network(ModelDefinition(graph=specification, architecture=architecture, classes=CLASSES))


def _full_events(n_events: int, specification: GraphSpecification) -> PaddedGraphs:
    """Events in which every place is filled."""
    graphs = build_padded(generated_record(8 * n_events, specification), specification)
    full = graphs.mask.all(1).nonzero().flatten()
    return graphs.select(full[torch.arange(n_events) % len(full)])


def four_momenta(graphs: PaddedGraphs) -> Tensor:
    """[B, N, 4] px, py, pz, E in GeV."""
    pt, eta, phi, mass = graphs.momenta.unbind(-1)
    pz = pt * torch.sinh(eta)
    energy = (pt.square() + pz.square() + mass.square()).sqrt()
    return torch.stack([pt * torch.cos(phi), pt * torch.sin(phi), pz, energy], dim=-1)
