"""Shares and rates as people write them."""

import math
import re
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator

_LONGEST: Final = 100
_HERTZ: Final = {"mHz": 1e-3, "Hz": 1.0, "kHz": 1e3, "MHz": 1e6}


def parse_share(written: Any) -> Fraction:
    """``1%``, ``0.01`` or ``1/100`` as an exact fraction in (0, 1]; ValueError otherwise."""
    text = str(written)
    exponent = re.search(r"[eE][-+]?0*([0-9_]+)", text)
    try:
        if len(text) > _LONGEST or (exponent and len(exponent[1]) > 3):  # which would take a number of that many digits
            raise ValueError
        value = Fraction(text[:-1].strip()) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{text!r}: give a share such as 1%, 0.01 or 1/100") from error
    if not 0 < value <= 1:
        raise ValueError(f"{text!r}: the share must lie above 0 and not above 100%")
    return value


def parse_rate(written: Any) -> float:
    """``5 Hz``, ``1.5 kHz`` or ``300 mHz`` in Hz, above 0; ValueError otherwise."""
    text = str(written)
    # an "e" may be of the number or of the unit: in a long text there are too many ways
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*([A-Za-z]+)\s*", text) if len(text) <= _LONGEST else None
    try:
        value = float(match[1]) * _HERTZ[match[2]] if match else math.nan
    except (ValueError, KeyError):
        value = math.nan
    if math.isnan(value):
        raise ValueError(f"{text!r}: give a rate with its unit ({', '.join(_HERTZ)}), such as 5 Hz")
    if not 0 < value < math.inf:
        raise ValueError(f"{text!r}: the rate must lie above 0")
    return value


Share = Annotated[Fraction, PlainValidator(parse_share), PlainSerializer(str)]
"""A share in a YAML file; plain data have it as ``1/100``."""

Rate = Annotated[float, PlainValidator(parse_rate), PlainSerializer(lambda value: f"{value!r} Hz")]
"""A rate in a YAML file, in Hz inside; plain data have it as ``5.0 Hz``."""
