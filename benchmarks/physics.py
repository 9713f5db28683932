"""How good the physics is, beside simple methods and peers: same events and same splits for all methods.

    python benchmarks/physics.py lhco lhco.root --graph jets --epochs 15 [--weaver [ParticleNet]]
    python benchmarks/physics.py unseen others.root qcd.root --train interest-objects [--group dijet]
    python benchmarks/physics.py weak lhco.root --members 50

`hepfilter simulate --set lhco --size small` makes lhco.root, docs/models/interest-objects.md tells how the others are
made. Each protocol prints Markdown tables and with -o writes all figures as JSON; what it does stands in
benchmarks/protocols. Graphs and models are kept in --folder, and taken from there if the benchmark is run again.
"""

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

from protocols import lhco, peers, unseen, weak

from hepfilter.config.training import Fit, load_training
from hepfilter.io.sources import expand_sources
from hepfilter.training.weak import WeakOptions


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    protocols = result.add_subparsers(dest="protocol", required=True)
    of = {name: protocols.add_parser(name) for name in ("lhco", "unseen", "weak")}
    for each in of.values():
        each.add_argument("sample", nargs="+")
        each.add_argument("-o", "--output", type=Path, help="JSON file")
        each.add_argument("--folder", type=Path, help="where graphs and models are kept")
        each.add_argument("--device", default="auto")
    of["lhco"].add_argument("--graph", default="particles")
    of["lhco"].add_argument("--architecture", default="edgeconv-small")
    of["lhco"].add_argument("--share", type=float, default=1.0, help="of the events that is used")
    of["lhco"].add_argument("--epochs", type=int, default=20)
    of["lhco"].add_argument("--batch-size", type=int, default=512)
    of["lhco"].add_argument("--learning-rate", type=float, default=3e-3, help="of all networks")
    of["lhco"].add_argument(
        "--weaver", nargs="*", choices=peers.NAMES, help="train these of weaver-core too; both if none is named"
    )
    of["unseen"].add_argument("--train", default="interest-objects", help="a training that ships, or a YAML file")
    of["unseen"].add_argument("--epochs", type=int, help="instead of the configuration's number")
    of["unseen"].add_argument("--group", action="append", default=[], help="only this group; repeatable")
    of["weak"].add_argument("--injected", type=int, default=360, help="signal events in the signal region")
    of["weak"].add_argument("--injections", type=int, default=5)
    of["weak"].add_argument("--members", type=int, default=10)
    of["weak"].add_argument("--folds", type=int, default=5)
    of["weak"].add_argument("--seed", type=int, default=1)
    return result


def main() -> None:
    options = parser().parse_args()
    sources = expand_sources(options.sample)
    kept = nullcontext(str(options.folder)) if options.folder else tempfile.TemporaryDirectory()
    with kept as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if options.protocol == "lhco":
            fit = Fit(epochs=options.epochs, batch_size=options.batch_size, learning_rate=options.learning_rate)
            weaver = peers.NAMES if options.weaver == [] else tuple(options.weaver or ())
            wanted = (options.graph, options.architecture, options.share, fit, weaver, options.device, folder)
            lhco.run(sources, lhco.LhcoOptions(*wanted), options.output)
        elif options.protocol == "unseen":
            config = load_training(options.train)
            if options.epochs is not None:
                config = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": options.epochs})})
            unseen.run(config, sources, only=options.group, device=options.device, folder=folder, output=options.output)
        else:
            search = WeakOptions(folds=options.folds, members=options.members, seed=options.seed)
            weak.run(sources, weak.WeakProtocol(options.injected, options.injections, search), options.output)


if __name__ == "__main__":
    main()
