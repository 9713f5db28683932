"""What the tests by chance share: damage, bounds, and the rule that only our own errors may come out."""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hepfilter.errors import HepfilterError

DEPTH = int(os.environ.get("HEPFILTER_FUZZ_DEPTH", "1"))
"""How many times as many examples as in the everyday run; `test_deeper` sets it."""
_SECONDS, _BYTES = 20, 2 * 2**30
_EXTREME = (0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1, 2**64 - 1)


def examples(count: int) -> settings:
    """So many examples of a test, times the depth."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count * DEPTH, suppress_health_check=quiet, database=None)


def survives(action: Callable[[], Any]) -> str | None:
    """Do it within bounds: None if it went well, the message if an error of ours came; any other fails the test."""
    said = None
    try:
        with _bounded():
            action()
    except HepfilterError as error:
        said = str(error)
    assert said is None or (said.isprintable() and 0 < len(said) < 2500), ascii(said[:200])
    return said


@contextmanager
def _bounded() -> Iterator[None]:
    """MemoryError beyond some GB more than now; a failure where it takes too long."""
    with open("/proc/self/statm") as stream:  # noqa: PTH123
        now = int(stream.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (now + _BYTES, hard))
    started = time.monotonic()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < _SECONDS


def _late(_: int, __: FrameType | None) -> NoReturn:
    raise AssertionError(f"takes more than {_SECONDS} s")


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """`raw` with bytes flipped, numbers made extreme, pieces gone, doubled or moved, or its end cut off."""
    content = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from(("flip", "number", "cut", "remove", "double", "noise")))
        length = draw(st.integers(1, 64))
        if kind == "flip" and content:
            content[at] ^= draw(st.integers(1, 255))
        elif kind == "number":
            width, order = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(("little", "big")))
            number = draw(st.sampled_from(_EXTREME)) % 2 ** (8 * width)
            content[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        elif kind == "cut":
            del content[at:]
        elif kind == "remove":
            del content[at : at + length]
        elif kind == "double":
            content[at:at] = content[at : at + length]
        else:
            content[at : at + length] = draw(st.binary(min_size=1, max_size=length))
    return bytes(content)


NAMES = st.text(st.one_of(st.sampled_from("aZ0_./\\@*?[]:#-\x00\x1b\n\r\t\u202e\x9b "), st.characters()), max_size=30)
"""Names as nobody would give them."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 2**31, 2**63, 2**64, 10**30, 10**4000]),
    st.floats(),
    NAMES,
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
"""Plain data of any shape, NaN and infinity among its numbers."""


@st.composite
def altered(draw: st.DrawFn, plain: Any) -> Any:
    """Plain data in which a few values, somewhere, are other ones, are gone, or have others beside them."""
    for _ in range(draw(st.integers(1, 3))):
        plain = _alter(draw, plain)
    return plain


def _alter(draw: st.DrawFn, plain: Any) -> Any:
    """One change, at a place that chance picks: the deeper the data, the more often below."""
    if isinstance(plain, dict) and plain and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(plain, key=str)))
        kind = draw(st.sampled_from(("below", "below", "below", "below", "gone", "renamed", "beside")))
        if kind == "below":
            return {**plain, key: _alter(draw, plain[key])}
        if kind == "beside":
            return {**plain, draw(NAMES): draw(JSON)}
        rest = {name: value for name, value in plain.items() if name != key}
        return rest if kind == "gone" else {**rest, draw(NAMES): plain[key]}
    if isinstance(plain, list) and plain and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(plain) - 1))
        kind = draw(st.sampled_from(("below", "below", "below", "gone", "twice")))
        if kind == "below":
            return [*plain[:at], _alter(draw, plain[at]), *plain[at + 1 :]]
        return plain[:at] + plain[at + 1 :] if kind == "gone" else plain[: at + 1] + plain[at:]
    return draw(JSON)
