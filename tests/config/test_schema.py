"""The model of a schema file: what is refused, and in which words."""

from typing import Any

import pytest
import yaml

from hepfilter.config.base import validate
from hepfilter.config.schema import COLLECTIONS, Collections, FirstOf, Schema, spelling
from hepfilter.errors import ConfigError

JET = "{pt: a, eta: b, phi: c%s}"


def schema(text: str) -> Schema:
    data: dict[str, Any] = {"name": "x", "title": "X", "tree": "t"}
    return validate(data | yaml.safe_load(text), Schema, where="x.yaml")


def jet(alternative: str) -> Schema:
    return schema(f"collections: {{jet: {{alternatives: [{alternative}]}}}}")


def test_a_complete_schema() -> None:
    result = schema(
        """
        tree: [Events, events]
        detect: [a, [b, c]]
        energy_unit: MeV
        identity: {run: Run, event: Event}
        collections:
          jet:
            pt_min: 20
            alternatives:
              - {pt: a, eta: b, phi: c, mass: {first_of: [m1, m2]}, cuts: [{branch: id, min: 1}, [{branch: x, max: 2}]]}
              - {px: [x1, x2], py: [y1, y2], pz: [z1, z2], mass: 0.1}
          met: {alternatives: [{pt: m, phi: n}]}
        """
    )
    assert result.trees == ("Events", "events")
    assert result.detect == ("a", ("b", "c"))
    assert result.to_gev == 1e-3
    assert result.identity is not None
    assert result.identity.names() == ("Run", "Event")
    assert [name for name, _ in result.collections.named()] == ["jet", "met"]
    assert result.collections.jet is not None
    first, second = result.collections.jet.alternatives
    assert first.mass == FirstOf(first_of=("m1", "m2"))
    assert [[cut.branch for cut in item] for item in first.cuts] == [["id"], ["x"]]
    assert second.px == ("x1", "x2")
    assert second.mass == 0.1


def test_numbers_in_place_of_branches_and_further_sources() -> None:
    more = "{pt: d, eta: e, phi: f, charge: 0, pdg_id: 22, also: [{pt: g, eta: h, phi: i}]}"
    collection = jet(JET % f", charge: q, also: [{more}]").collections.jet
    assert collection is not None
    first, second, third = collection.alternatives[0].sources()
    assert (first.charge, second.charge, second.pdg_id, third.charge) == ("q", 0.0, 22.0, None)
    assert [field for field, _ in first.fields()] == ["pt", "eta", "phi", "charge"]
    assert [field for field, _ in second.fields()] == ["pt", "eta", "phi"]


def test_missing_momentum_is_built_of_collections_that_the_record_has() -> None:
    with pytest.raises(ConfigError, match=r"collections\.met\.alternatives\.0\.minus\.0.*got 'met'"):
        schema("collections: {met: {alternatives: [{px: a, py: b, minus: [met]}]}}")


@pytest.mark.parametrize(
    ("branch", "found"),
    [("a.b", "a.b"), ("c.d", "c:d"), ("e.f", "e.f"), ("c:d", "c:d"), ("a:b", None), ("x", None)],
)
def test_a_dot_is_a_colon_in_an_rntuple(branch: str, found: str | None) -> None:
    assert spelling(branch, {"a.b", "c:d", "e.f", "e:f"}) == found


def test_collections_are_those_of_the_record() -> None:
    assert COLLECTIONS == ("jet", "fatjet", "muon", "electron", "photon", "tau", "met", "particle")
    assert tuple(Collections.model_fields) == COLLECTIONS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detects: [a]", "unknown key 'detects'; nearest: detect"),
        ("collections: {jets: {alternatives: []}}", "unknown key 'collections.jets'; nearest: jet"),
        ("energy_unit: TeV", "key 'energy_unit'.*'GeV' or 'MeV'.*got 'TeV'"),
        ("identity: {run: a}", "key 'identity.event' is missing"),
        ("{}", "`collections` is missing"),
        ("tree: []", "`tree` is missing"),
        ("detect: [[]]", "key 'detect.0'.*name of a branch, or a list"),
        (
            "collections: {met: {alternatives: [{pt: a, phi: b, eta: c}]}}",
            "met: an alternative needs pt, phi or px, py",
        ),
        ("collections: {jet: {alternatives: []}}", "key 'collections.jet.alternatives'"),
        ("collections: {jet: {pt_min: -1, alternatives: []}}", "key 'collections.jet.pt_min'"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        schema(text)


@pytest.mark.parametrize(
    ("alternative", "message"),
    [
        ("{ptt: a, eta: b, phi: c}", "unknown key 'collections.jet.alternatives.0.ptt'; nearest: pt"),
        ("{pt: a, eta: b}", "jet: an alternative needs pt, eta, phi or px, py, pz"),
        (JET % ", px: d", "jet: an alternative needs"),
        (JET % ", cuts: [{branch: x}]", "the cut on x has neither min nor max"),
        (JET % ", cuts: [{branch: x, min: .nan}]", "finite number"),
        (JET % ", mass: -1", "a mass is a branch or a number of GeV, at least 0"),
        (JET % ", cuts: [{branch: x, min: 1, mask: 0}]", "key 'collections.jet.alternatives.0.cuts.0.0.mask'"),
        (JET % ", cuts: [{branch: x, min: 1, mask: 3, relative: true}]", "the cut on x has bits .* relative to pt"),
        (JET % ", charge: 0.5", "give a branch or a whole number"),
        (JET % ", pdg_id: .inf", "give a branch or a whole number"),
        (JET % ", pdg_id: true", "name of a branch, or a list"),
        (JET % ", also: [{pt: d, eta: e}]", "jet: an alternative needs pt, eta, phi or px, py, pz"),
        (JET % ", also: [{pt: d, eta: e, phi: f, also: [{pt: g}]}]", "jet: an alternative needs"),
        (JET % ", minus: [muon]", "jet: `minus` builds missing momentum, so only met may have it"),
        (JET % ", mass: .nan", "a mass is a branch or a number of GeV"),
        (JET % ", btag: {firstof: [a]}", "first_of"),
        (JET % ", btag: {first_of: []}", "at least 1 item"),
        ("{pt: [a, b], eta: [c, d], phi: c}", "every field needs a list of the same length"),
        ("{pt: [a, b], eta: [c, d], phi: [c]}", "every field needs a list of the same length"),
        ("{pt: [a], eta: [b], phi: [c], cuts: [{branch: x, min: 1}]}", "cuts need branches with a list per event"),
        ("{pt: [], eta: [], phi: []}", "name of a branch, or a list"),
        ("{pt: 3, eta: b, phi: c}", "key 'collections.jet.alternatives.0.pt'"),
    ],
)
def test_alternatives_that_are_refused(alternative: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        jet(alternative)


def test_the_checksum_is_that_of_the_rules() -> None:
    rules = "collections: {jet: {pt_min: 20, alternatives: [{pt: a, eta: b, phi: c}]}}"
    same = schema("title: Y\nname: y\n# a comment\n" + rules.replace("20", "20.0"))
    assert schema(rules).checksum == same.checksum
    different = (rules.replace("20", "21"), rules.replace("pt: a", "pt: z"), f"weight: w\n{rules}")
    assert len({schema(text).checksum for text in (rules, *different)}) == 4
