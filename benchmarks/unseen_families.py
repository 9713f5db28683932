"""What a network makes of signals that it has never seen: one training for each signal family, which is left out of it.

    python benchmarks/unseen_families.py sample.root --train interest-objects

`sample.root` is the sample that the configuration names. Each row: AUC and signal efficiency at fixed background of the
network that has not seen the family and of Σpt, the simple thing to beat; in the physical mix and as generated.
`hepfilter train` prints the same for the network that has seen them all.
"""

import argparse
import tempfile
from pathlib import Path

from hepfilter.config.card import load_card
from hepfilter.config.training import load_training
from hepfilter.evaluation.metrics import Separation
from hepfilter.io.sources import Source
from hepfilter.training.run import train


def cells(result: Separation) -> str:
    """AUC and the efficiencies, with their 68 % intervals."""
    points = [result.working_points[target] for target in sorted(result.working_points, reverse=True)]
    texts = [
        "–" if point is None else f"{point.signal.value:.3f} [{point.signal.lower:.3f}, {point.signal.upper:.3f}]"
        for point in points
    ]
    return " | ".join([f"{result.auc:.3f}", *texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", nargs="+")
    parser.add_argument("--train", default="interest-objects", help="a training that ships, or a YAML file")
    options = parser.parse_args()

    sources = [Source(path) for path in options.sample]
    config = load_training(options.train)
    cards = [load_card(name) for names in config.classes.values() for name in names]
    families = list(dict.fromkeys(card.family for card in cards if card.is_signal))
    print("| family | mix | score | AUC | at 1e-2 | at 1e-3 |\n|---|---|---|---|---|---|")
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            report = train(config, sources, Path(folder) / "model.safetensors", exclude=[family])
        for mix, results in (("physical", report.families), ("as generated", report.as_generated)):
            (row,) = [result for result in results if result.family == family]
            print(f"| {family} | {mix} | network without it | {cells(row.by_interest)} |", flush=True)
            print(f"| {family} | {mix} | Σpt | {cells(row.by_hardness)} |", flush=True)


if __name__ == "__main__":
    main()
