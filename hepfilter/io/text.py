"""Exceptions as text for messages."""


def one_line(error: BaseException) -> str:
    """An exception's text on one line, short enough for a message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
