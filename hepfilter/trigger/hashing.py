"""The event hash: a number in [0, 1) that belongs to an event and a purpose, and to nothing else.

SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein, INDOCRYPT 2012, https://www.aumasson.jp/siphash/siphash.pdf) of the three
64-bit words run, luminosityBlock, event; its key is the BLAKE2b digest of seed, purpose and path. So the number is the
same whatever the order, splitting, machine or restart, and numbers of other purposes or paths are independent of it.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.integer[Any]]


def event_hash(
    run: Integers, luminosity_block: Integers, event: Integers,
    *, seed: int, purpose: str, path: str = "",
) -> npt.NDArray[np.float64]:  # fmt: skip
    """u in [0, 1) for each event (float64, 53 bits of the hash); the three arrays have one entry an event."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}\0{path}".encode(), digest_size=16).digest()
    words = [np.asarray(column).astype(np.uint64) for column in (run, luminosity_block, event)]
    return (siphash(words, digest) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def siphash(words: Sequence[Words], key: bytes) -> Words:
    """SipHash-2-4 of messages of whole little-endian 64-bit words: `words[i]` are the i-th of all messages."""
    k0, k1 = np.frombuffer(key, "<u8").astype(np.uint64)
    shape = np.shape(words[0])
    initial = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    v: list[Words] = [
        np.full(shape, np.uint64(constant) ^ k) for constant, k in zip(initial, (k0, k1, k0, k1), strict=True)
    ]
    length = np.full(shape, np.uint64((8 * len(words)) << 56))
    for word in (*words, length):
        v[3] ^= word
        _round(v)
        _round(v)
        v[0] ^= word
    v[2] ^= np.uint64(0xFF)
    for _ in range(4):
        _round(v)
    mixed: Words = v[0] ^ v[1] ^ v[2] ^ v[3]
    return mixed


def _round(v: list[Words]) -> None:
    """One SipRound on the state, in place; uint64 addition wraps, as it must."""
    for low, high, left, right, turned in ((0, 2, 13, 16, 0), (2, 0, 17, 21, 2)):
        v[low] += v[1]
        v[high] += v[3]
        v[1] = _rotate(v[1], left) ^ v[low]
        v[3] = _rotate(v[3], right) ^ v[high]
        v[turned] = _rotate(v[turned], 32)


def _rotate(word: Words, bits: int) -> Words:
    """Rotate left."""
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))
