"""Where the time of the simulation goes: generator, detector with clustering, and writing, for one worker.

    python benchmarks/simulation_speed.py [--events 2000] [--pileup 40]

The share of detector and writing is that of generator, detector and writing; start-up and pilot are left out.
"""

import argparse
import tempfile
from pathlib import Path

from hepfilter.config.card import load_cards
from hepfilter.config.sample import Conditions, Production
from hepfilter.simulation.sample import SampleReport, simulate

CARDS = ("qcd@50", "qcd@200", "qcd@500", "qcd@1000", "ttbar", "zjets@50", "minimum_bias", "wprime_xy", "gluino_qq")


def measure(name: str, *, events: int, multiple_interactions: bool, pileup: float) -> SampleReport:
    conditions = Conditions(multiple_interactions=multiple_interactions)
    productions = [Production(conditions.applied(card), events) for card in load_cards(name)]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "speed.root"
        return simulate(productions, seed=1, output=output, particles=True, pileup=pileup)


def print_row(name: str, title: str, report: SampleReport) -> None:
    made = report.processes[0]
    ours = made.reconstruction_seconds + report.writing_seconds
    total = made.generator_seconds + ours
    print(
        f"{name:14} {title:14} {made.generated / total:7.0f} {made.generated / made.generator_seconds:10.0f} "
        f"{made.generated / made.reconstruction_seconds:9.0f} {report.events / report.writing_seconds:8.0f} "
        f"{100 * ours / total:6.0f} %",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--pileup", type=float, default=40.0)
    options = parser.parse_args()
    print(
        f"{'process':14} {'':14} {'events/s':>7} {'generator':>10} {'detector':>9} {'writing':>8}  detector + writing"
    )
    for name in CARDS:
        print_row(name, "", measure(name, events=options.events, multiple_interactions=True, pileup=0.0))
    for name in ("qcd@500", "wprime_xy"):
        report = measure(name, events=options.events, multiple_interactions=False, pileup=0.0)
        print_row(name, "MPI off", report)
    for name in ("qcd@500", "zjets@50"):
        report = measure(name, events=options.events // 4, multiple_interactions=True, pileup=options.pileup)
        print_row(name, f"pile-up {options.pileup:g}", report)


if __name__ == "__main__":
    main()
