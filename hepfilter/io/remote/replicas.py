"""One file at several addresses: where one fails, now or in the middle of reading, the next goes on."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain

from hepfilter.errors import SourceError
from hepfilter.io.bytesource import ByteSource
from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.remote.transport import AT_ONCE, LONGEST, Piece, Transport, TransportError, connect
from hepfilter.io.remote.waiting import run_within
from hepfilter.wording import counted

_HEAD = 100  # bytes, in which a ROOT file tells its length and its UUID
_LONGEST_PAUSE = 30.0
_MOST_BYTES = 16_000_000  # of one request
_CLOSING = 1.0  # seconds that closing may take before nobody waits for it
_MEMORY = 300.0  # seconds for which the other addresses go before those of a host that failed
_failed: dict[str, float] = {}  # when a host failed last, for this process


class ReplicatedFile:
    """The bytes of a file at one or more addresses, of which `address` is the one in use."""

    def __init__(self, addresses: Sequence[str], limits: RemoteLimits) -> None:
        self._addresses = list(addresses)
        self._limits = limits
        self._transport: Transport | None = None
        self._identity: tuple[int, bytes] | None = None
        self._final: dict[str, TransportError] = {}
        self.address = addresses[0]

    @property
    def size(self) -> int:
        """Bytes of the file, once it is open."""
        assert self._identity is not None
        return self._identity[0]

    def open(self) -> None:
        """Connect to the first address that works; SourceError if none does."""
        self._attempt("opened", lambda _: None)

    def fetch_many(self, spans: Sequence[Piece]) -> list[bytes]:
        """The bytes of each span, fewer where the file ends; SourceError if no address gives them."""
        if any(start < 0 for start, _ in spans):
            raise ValueError("a position before the file's beginning")
        pieces = [list(_split(start, min(stop, self.size))) for start, stop in spans]
        head = self._identity[1] if self._identity else b""
        found = {piece: head[slice(*piece)] for piece in chain.from_iterable(pieces) if piece[1] <= len(head)}
        self._attempt("read", lambda transport: self._fetch(transport, chain.from_iterable(pieces), found))
        return [b"".join(found[piece] for piece in own) for own in pieces]

    def close(self) -> None:
        """Let go of the address in use."""
        transport, self._transport = self._transport, None
        if transport is not None:
            run_within(_CLOSING, [transport.close])

    def _fetch(self, transport: Transport, pieces: Iterable[Piece], found: dict[Piece, bytes]) -> None:
        """Fetch the pieces that are not found yet; TransportError if one of them then still is not."""
        requests = list(_requests([piece for piece in pieces if piece not in found], transport.most))
        calls = [partial(transport.fetch, own) for own in requests]
        faults = []
        for own, outcome in zip(requests, run_within(self._limits.read, calls, at_once=AT_ONCE), strict=True):
            if isinstance(outcome, Exception):
                faults.append(outcome)
            else:
                found.update(zip(own, outcome, strict=True))
        _raise_worst(faults)

    def _attempt(self, what: str, action: Callable[[Transport], None]) -> None:
        """Do `action` with the first address that works; each is tried several times."""
        faults: dict[str, TransportError] = {}
        made = 0
        for number in range(self._limits.attempts):
            addresses = self._order()
            if number and addresses:
                time.sleep(min(self._limits.pause * 2 ** (number - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.5))
            for address in addresses:
                made += 1
                try:
                    action(self._connected(address))
                    return
                except TransportError as fault:
                    faults[address] = fault
                    self._give_up(address, fault)
        raise SourceError(self._message(what, self._final | faults, made))

    def _order(self) -> list[str]:
        """The addresses that may work: the one in use, and those of hosts that failed lately last."""
        now = time.monotonic()
        live = [address for address in self._addresses if address not in self._final]
        live.sort(key=lambda address: now - _failed.get(_host(address), -_MEMORY) < _MEMORY)
        live.sort(key=lambda address: self._transport is None or address != self.address)
        return live

    def _connected(self, address: str) -> Transport:
        """A transport of this address; TransportError if it fails or has another file than was opened."""
        if self._transport is not None and address == self.address:
            return self._transport
        (opened,) = run_within(self._limits.open, [partial(connect, address, self._limits)])
        if isinstance(opened, Exception):
            raise _as_fault(opened) from opened
        head: dict[Piece, bytes] = {}
        self._fetch(opened, _split(0, min(_HEAD, opened.size)), head)
        identity = opened.size, b"".join(head.values())
        if self._identity is not None and identity != self._identity:
            run_within(_CLOSING, [opened.close])
            there, here = counted(identity[0], "byte"), counted(self._identity[0], "byte")
            what = "has another UUID" if there == here else f"has {there}, not {here}"
            raise TransportError(f"is not the file that was opened: it {what}", may_pass=False)
        self._identity, self._transport, self.address = identity, opened, address
        return opened

    def _give_up(self, address: str, fault: TransportError) -> None:
        """Remember a fault, and let go of the address."""
        self.close()
        if fault.may_pass:
            _failed[_host(address)] = time.monotonic()
        else:
            self._final[address] = fault

    def _message(self, what: str, faults: Mapping[str, TransportError], made: int) -> str:
        tried = f" ({counted(made, 'attempt')})" if made > 1 else ""
        later = "; try again later" if any(fault.may_pass for fault in faults.values()) else ""
        if len(self._addresses) == 1:
            (fault,) = faults.values()
            return f"{self._addresses[0]}: cannot be {what}: {fault}{tried}{later}"
        reasons = "; ".join(f"{address}: {faults[address]}" for address in self._addresses if address in faults)
        where = f"at any of its {len(faults)} addresses"
        return f"{self._addresses[0]}: cannot be {what} {where}{tried}: {reasons}{later}"


@contextmanager
def open_replicas(addresses: Sequence[str], limits: RemoteLimits | None = None) -> Iterator[tuple[str, ByteSource]]:
    """(the address that was opened, the bytes) of a file at several addresses; SourceError if none can be opened.

    `limits` are those of the environment unless given.
    """
    file = ReplicatedFile(addresses, RemoteLimits.from_environment() if limits is None else limits)
    try:
        file.open()
        yield (
            file.address,
            ByteSource(lambda start, stop: file.fetch_many([(start, stop)])[0], file.fetch_many, file.size),
        )
    finally:
        file.close()


def _host(address: str) -> str:
    """The scheme and host of an address."""
    return "/".join(address.split("/", 3)[:3]) if "://" in address else ""


def _split(start: int, stop: int) -> Iterator[Piece]:
    """The pieces of a span."""
    return ((at, min(at + LONGEST, stop)) for at in range(start, stop, LONGEST))


def _requests(pieces: Iterable[Piece], most: int) -> Iterator[list[Piece]]:
    """The pieces, each once, in groups of up to `most`."""
    group: list[Piece] = []
    size = 0
    for start, stop in dict.fromkeys(pieces):
        if group and (len(group) >= most or size + stop - start > _MOST_BYTES):
            yield group
            group, size = [], 0
        group.append((start, stop))
        size += stop - start
    if group:
        yield group


def _as_fault(error: Exception) -> TransportError:
    """A fault of a transport as it is, no answer as one that may pass; anything else is raised."""
    if isinstance(error, TransportError):
        return error
    if isinstance(error, TimeoutError):
        return TransportError(str(error), may_pass=True)
    raise error


def _raise_worst(errors: Sequence[Exception]) -> None:
    """The first of the errors that will not pass, else the first; nothing if there is none."""
    faults = [_as_fault(error) for error in errors]
    if faults:
        raise min(faults, key=lambda fault: fault.may_pass)
