"""Words for messages and reports."""

_PLURALS = {"branch": "branches", "entry": "entries"}


def counted(count: int, noun: str) -> str:
    """``1 event``, ``0 events``, ``1,200 entries``."""
    return f"{count:,} {noun if count == 1 else _PLURALS.get(noun, noun + 's')}"
