"""The command line's entry: `hepfilter` and `python -m hepfilter`."""

import gc


def main() -> None:
    """Run the command line and exit with its code."""
    # a command makes many small objects that stay: looking for cycles after every 700 of them costs a tenth of its time
    gc.set_threshold(200_000, 20, 20)
    from hepfilter.cli.app import run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
