"""What a file of scores says of itself: a JSON text with the model, the files, and a checksum of every column."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

import xxhash
from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from hepfilter.config.base import StrictModel, validate
from hepfilter.errors import ConfigError, SourceError
from hepfilter.io.text import one_line

FORMAT: Final = 1
FACTS: Final = "HepFilter_scores"
"""The key of the text in a Parquet file's metadata, and the name of the TObjString in a ROOT file."""
MADE_BY: Final = "`hepfilter score` writes them"

_FAULTS = (ValueError, TypeError, KeyError, AttributeError, RecursionError)

# shown in reports: nothing in it may steer a terminal
Shown = Annotated[str, AfterValidator(lambda text: "".join(sign if sign.isprintable() else "?" for sign in text))]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
ScoreName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ScoredFile(StrictModel):
    """One input: who it is, and what was found on reading it.

    `path` is as it was given; `uuid`, `size` and `checksum` are its `FileFacts`. `weighted` is whether it has generator
    weights; elsewhere they are 1. `problems` counts objects treated by rule; `absent` are the collections that the
    model uses and the file lacks; `warnings` tell what else is not as it should be.
    """

    path: str
    dataset: Shown | None
    uuid: Annotated[str, Field(pattern=r"^([0-9a-f-]{36})?$")]
    size: NonNegativeInt
    checksum: Digest
    tree: str
    entries: NonNegativeInt
    schema_name: Shown
    schema_checksum: Digest
    weighted: bool
    problems: dict[Shown, NonNegativeInt]
    absent: tuple[Shown, ...]
    warnings: tuple[Shown, ...]


class ScoreFacts(StrictModel):
    """What scores depend on, and what they are of.

    `names` are the scores of every event, ``interest`` first. `extrapolated_below` has for each p-value among them the
    number below which it is an extrapolation. `datasets` has kind, cross-section (pb) and luminosity (1/fb) of each.
    """

    hepfilter: Shown
    model: Shown
    model_hash: Digest
    calibration_hash: Digest | None
    device_class: Shown
    names: tuple[ScoreName, ...]
    extrapolated_below: dict[ScoreName, float]
    datasets: dict[str, dict[str, Any]]
    files: tuple[ScoredFile, ...]

    @model_validator(mode="after")
    def _names_are_scores(self) -> "ScoreFacts":
        if self.names[:1] != ("interest",) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"the scores {', '.join(self.names)} are none: interest is the first, and none stands twice"
            )
        return self

    @property
    def entries(self) -> int:
        """Events of all files."""
        return sum(file.entries for file in self.files)


class _Content(StrictModel):
    format: int
    facts: ScoreFacts
    columns: dict[str, Digest]


def facts_text(facts: ScoreFacts, digests: Mapping[str, str]) -> str:
    """The text for `facts` and the xxh3-128 of each column's values, by its name."""
    content = _Content(format=FORMAT, facts=facts, columns=dict(digests)).model_dump(mode="json")
    return json.dumps(content | {"checksum": _checksum(content)})


def parse_facts(text: str, *, where: str) -> tuple[ScoreFacts, Mapping[str, str]]:
    """(facts, xxh3-128 of each column) of a text; SourceError, whose message begins by `where`, if it is none."""
    try:
        content = json.loads(text)
        version, stated = content["format"], content.pop("checksum")
        if isinstance(version, int) and version > FORMAT:
            raise SourceError(f"{where}: has format {version}, this version knows up to {FORMAT}; update hepfilter")
        if _checksum(content) != stated:
            raise SourceError(f"{where}: what it says of itself is damaged; score the files anew")
        valid = validate(content, _Content, where=where)
    except ConfigError as error:
        raise SourceError(f"{one_line(error)}; score the files anew") from error
    except _FAULTS as error:
        raise SourceError(f"{where}: holds no scores that can be read ({one_line(error)}); {MADE_BY}") from error
    return valid.facts, valid.columns


def _checksum(content: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(content).encode())
