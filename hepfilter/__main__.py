"""The command line's entry: `hepfilter` and `python -m hepfilter`."""


def main() -> None:
    """Run the command line and exit with its code."""
    from hepfilter.cli.app import run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
