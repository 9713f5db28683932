"""The findings of the first pass as bytes, for the ledger: arrays and JSON in the layout of safetensors, no pickle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hepfilter.errors import OutputError
from hepfilter.events.identity import Identity
from hepfilter.events.spectra import SPECTRUM_EDGES
from hepfilter.io.checksum import FileFacts
from hepfilter.io.shapes import TableShape
from hepfilter.io.sources import Source
from hepfilter.skim.findings import Everyone, FileHead, Flow, UnitRead
from hepfilter.statistics.histograms import Histogram

_TEXT: Final = "hepfilter"
_FAULTS: Final = (SafetensorError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
_TUPLES: Final = ("steps", "identity_branches", "asked", "histograms", "absent", "warnings")
Arrays = dict[str, npt.NDArray[Any]]


def pack_head(head: FileHead) -> bytes:
    """The head of a file."""
    arrays = {"stated": head.stated} | {f"rows/{name}": rows for name, rows in head.rows.items()}
    facts = {name: value for name, value in vars(head).items() if name not in ("stated", "rows")}
    facts |= {
        "source": asdict(head.source),
        "facts": asdict(head.facts),
        "made_from": [(outputs, sorted(origins)) for outputs, origins in head.made_from],
        "shapes": {name: (shape.digest, list(shape.widths.items())) for name, shape in head.shapes.items()},
        "classes": sorted(head.classes),
    }
    return _pack(arrays, facts)


def unpack_head(data: bytes) -> FileHead:
    """The head of a file, from its bytes; OutputError if they are damaged."""
    try:
        arrays, facts = _unpack(data)
        source = facts["source"]
        return FileHead(
            **facts
            | {
                "source": Source(**source | {"replicas": tuple(source["replicas"])}),
                "facts": FileFacts(**facts["facts"]),
                "stamp": None if facts["stamp"] is None else tuple(facts["stamp"]),
                "made_from": tuple((outputs, frozenset(origins)) for outputs, origins in facts["made_from"]),
                "units": tuple((start, stop) for start, stop in facts["units"]),
                "shapes": {
                    name: TableShape(digest, dict(widths)) for name, (digest, widths) in facts["shapes"].items()
                },
                "classes": frozenset((name, version) for name, version in facts["classes"]),
                "entry_bytes": tuple(facts["entry_bytes"]),
                "stated": arrays["stated"],
                "rows": _under("rows", arrays),
            }
            | {name: tuple(facts[name]) for name in _TUPLES}
        )
    except _FAULTS as error:
        raise _damaged(error) from error


def pack_units(units: Sequence[UnitRead]) -> bytes:
    """Units of one file."""
    arrays: Arrays = {}
    facts = []
    for number, unit in enumerate(units):
        arrays |= {f"{number}/{name}": values for name, values in _unit_arrays(unit).items()}
        facts.append(
            {name: getattr(unit, name) for name in ("start", "stop", "problems", "empty", "bytes_read")}
            | {"flow": asdict(unit.flow), "scored": unit.scores is not None}
        )
    return _pack(arrays, {"units": facts})


def unpack_units(data: bytes) -> list[UnitRead]:
    """Units of one file, from their bytes; OutputError if they are damaged."""
    try:
        arrays, facts = _unpack(data)
        return [_unit(unit, _under(str(number), arrays)) for number, unit in enumerate(facts["units"])]
    except _FAULTS as error:
        raise _damaged(error) from error


def _unit_arrays(unit: UnitRead) -> Arrays:
    arrays: Arrays = {"chosen": unit.chosen, "sections": unit.sections, "found": unit.found}
    if unit.weights is not None:
        arrays["weights"] = unit.weights
    arrays |= {f"spectra/{name}": np.stack([h.counts, h.weights, h.squares]) for name, h in unit.spectra.items()}
    arrays |= {f"scores/{name}": values for name, values in (unit.scores or {}).items()}
    arrays |= {f"conditions/{name}": values for name, values in unit.conditions.items()}
    if unit.identity is not None:
        arrays |= {f"identity/{name}": values for name, values in vars(unit.identity).items()}
    if unit.everyone is not None:
        arrays |= {f"everyone/{name}": values for name, values in vars(unit.everyone.identity).items()}
        arrays["levels"] = unit.everyone.levels
        if unit.everyone.weights is not None:
            arrays["everyone_weights"] = unit.everyone.weights
    return arrays


def _unit(facts: Mapping[str, Any], arrays: Arrays) -> UnitRead:
    identity, everyone = _under("identity", arrays), _under("everyone", arrays)
    plain = {name: facts[name] for name in ("start", "stop", "problems", "empty", "bytes_read")}
    return UnitRead(
        **plain,
        chosen=arrays["chosen"],
        weights=arrays.get("weights"),
        scores=_under("scores", arrays) if facts["scored"] else None,
        conditions=_under("conditions", arrays),
        identity=Identity(**identity) if identity else None,
        sections=arrays["sections"],
        found=arrays["found"],
        flow=Flow(**facts["flow"]),
        everyone=Everyone(Identity(**everyone), arrays.get("everyone_weights"), arrays["levels"]) if everyone else None,
        spectra={
            name: Histogram(SPECTRUM_EDGES, counts.astype(np.int64), weights, squares)
            for name, (counts, weights, squares) in _under("spectra", arrays).items()
        },
    )


def _under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays whose names begin with ``prefix/``, by the rest."""
    start = f"{prefix}/"
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}


def _pack(arrays: Arrays, facts: Mapping[str, Any]) -> bytes:
    found = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    return bytes(save(found, {_TEXT: json.dumps(facts)}))


def _unpack(data: bytes) -> tuple[Arrays, dict[str, Any]]:
    """(the arrays, the facts). `load` checks the length of the header and of all arrays."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return load(data), json.loads(header["__metadata__"][_TEXT])


def _damaged(error: Exception) -> OutputError:
    return OutputError(f"the ledger holds what cannot be read ({type(error).__name__}); --force begins anew")
