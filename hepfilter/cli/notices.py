"""Lines for the user on stderr."""

import sys

from hepfilter.errors import visible


def print_notice(text: str) -> None:
    """Tell something while a command runs, or why it ends."""
    print(f"hepfilter: {visible(text)}", file=sys.stderr)
