"""Who each event is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Identity:
    """Who each event is: run and luminosity_block (uint32), event (uint64), one entry per event."""

    run: NDArray[np.uint32]
    luminosity_block: NDArray[np.uint32]
    event: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.event)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Identity":
        """Those of the chosen events."""
        return Identity(self.run[chosen], self.luminosity_block[chosen], self.event[chosen])

    @classmethod
    def join(cls, parts: "Sequence[Identity]") -> Self:
        """The identities of all parts, one after the other."""
        return cls(
            np.concatenate([np.empty(0, np.uint32), *(part.run for part in parts)]),
            np.concatenate([np.empty(0, np.uint32), *(part.luminosity_block for part in parts)]),
            np.concatenate([np.empty(0, np.uint64), *(part.event for part in parts)]),
        )

    @classmethod
    def from_entries(cls, file: str, first_entry: int, count: int) -> Self:
        """The identity (file name, entry) for files that have none.

        run = 0; luminosity_block = the first four bytes, as a little-endian number, of the BLAKE2b hash of the file's
        name without its folders (UTF-8), so that a file may move; event = the entry, counted from 0 in the file.
        """
        name = PurePosixPath(file).name
        hashed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little")
        return cls(
            run=np.zeros(count, np.uint32),
            luminosity_block=np.full(count, hashed, np.uint32),
            event=np.arange(first_entry, first_entry + count, dtype=np.uint64),
        )


def pack_sections(run: NDArray[np.integer[Any]], block: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
    """[B] run · 2³² + luminosity block: one number for the section of each event, both below 2³²."""
    return (run.astype(np.uint64) << np.uint64(32)) | (block.astype(np.uint64) & np.uint64(0xFFFFFFFF))
