"""Numbers of pictures, as short as what one sees of them."""

from math import isfinite


def rounded(value: float, digits: int = 5) -> float:
    """With so many significant digits; what is not finite stays."""
    return float(f"{value:.{digits}g}") if isfinite(value) else value
