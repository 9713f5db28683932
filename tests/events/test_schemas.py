"""Loading schemas and finding the one that fits."""

from pathlib import Path

import pytest

from hepfilter.errors import ConfigError, SchemaError
from hepfilter.events.schemas import detect_schema, load_schema, schema_names, tree_candidates

MUON = ["Muon_pt", "Muon_eta", "Muon_phi"]
PF = ["PFCands_pt", "PFCands_eta", "PFCands_phi", "PFCands_pdgId", "Jet_pt"]


def test_all_schemas_that_ship_are_valid_and_named_as_their_file() -> None:
    assert {"nanoaod", "pfnano", "cms_pf_flat"} <= set(schema_names())
    for name in schema_names():
        schema = load_schema(name)
        assert schema.name == name
        assert schema.trees
        assert schema.collections.named()
        assert schema.detect
    assert {"Events", "CollectionTree", "EventData", "Delphes", "PreSelection"} <= set(tree_candidates())


@pytest.mark.parametrize(
    ("branches", "name"),
    [
        (MUON, "nanoaod"),
        (["FatJet_pt"], "nanoaod"),
        (PF, "cms_pf_flat"),
        ([*PF, "genWeight"], "pfnano"),
        ([*PF, "PFCands_puppiWeight"], "pfnano"),
        (["ScoutingPFJet_pt"], "scouting_nano"),
        (["ScoutingPFJet_pt", "Jet_pt"], "nanoaod"),
        (["AnalysisJetsAuxDyn.pt"], "physlite"),
        (["AnalysisJetsAuxDyn:pt"], "physlite"),
        (["Jet.PT"], "delphes"),
        (["MissingET.MET"], "delphes"),
        (["Jets.fCoordinates.fPt"], "treemaker"),
    ],
)
def test_the_most_specific_schema_is_taken(branches: list[str], name: str) -> None:
    assert detect_schema(branches, "Events").name == name


def test_extending_takes_over_collection_by_collection() -> None:
    nanoaod, pfnano, flat = (load_schema(name) for name in ("nanoaod", "pfnano", "cms_pf_flat"))
    assert pfnano.collections.jet == nanoaod.collections.jet
    assert pfnano.identity == nanoaod.identity
    assert pfnano.trees == ("Events",)
    assert pfnano.collections.particle is not None
    assert nanoaod.collections.particle is None
    assert flat.collections.tau is None  # taken away
    assert flat.weight is None
    assert flat.collections.muon != nanoaod.collections.muon


def test_no_schema_fits() -> None:
    message = (
        r"a\.root: tree Events: no schema fits .* nearest, nanoaod, needs Jet_pt or .*; nearest: JetX_pt.*--schema"
    )
    with pytest.raises(SchemaError, match=message):
        detect_schema(["JetX_pt", "run"], "Events", file="a.root")


def test_a_users_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    text = "name: own\ntitle: mine\nextends: nanoaod\ntree: {}\n"
    for tree in ("one", "two"):
        path.write_text(text.format(tree))
        schema = load_schema(path)
        assert schema.trees == (tree,)
        assert schema.collections.jet == load_schema("nanoaod").collections.jet


def test_extending_what_does_not_ship(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"name: own\ntitle: mine\nextends: {path}\n")
    with pytest.raises(ConfigError, match=r"own\.yaml: extends .*, which is no schema that ships \(.*nanoaod"):
        load_schema(path)


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="nearest: nanoaod"):
        load_schema("nanoaodd")
