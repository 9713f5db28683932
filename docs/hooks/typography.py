"""Keeps in one line what belongs together: a value and its error, the name of an option."""

import re
from typing import Any

OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def on_page_content(html: str, **_: Any) -> str:
    """Put no-break spaces around each ± of a value, and spans around the options in code."""
    html = re.sub(r"(?<=\d) ± (?=\d)", "\u00a0±\u00a0", html)
    return re.sub(r"<code>[^<]*</code>", lambda code: OPTION.sub(r'<span class="whole">\g<0></span>', code[0]), html)
