"""Plain fields as numbers: what uproot reads, and quickly."""

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.rntuple.plain import is_plain, read_plain
from tests.io.rntuples import make_ntuple, open_ntuple


def assert_as_uproot(values, offsets, array):
    flat = ak.to_numpy(array if offsets is None else ak.flatten(array))
    assert np.array_equal(values, flat.astype(values.dtype), equal_nan=values.dtype.kind == "f")
    if offsets is not None:
        assert np.diff(offsets).tolist() == ak.num(array).to_list() and offsets[0] == 0


def test_fields_of_nanoaod(shared_data):
    ntuple = open_ntuple(shared_data / "nano_dy_rntuple.root")
    plain = [name for name in ntuple.field_names if is_plain(ntuple, name)]
    assert [name for name in ntuple.field_names if name not in plain] == [f"_collection{n}" for n in range(25)]
    names = ["run", "event", "nMuon", "Muon_pt", "Muon_charge", "Muon_tightId", "Jet_pt", "HLT_IsoMu24", "genWeight"]
    found = read_plain(ntuple, names, 3, 38)
    with uproot.open({shared_data / "nano_dy.root": "Events"}) as tree:
        for name in names:
            array = tree[name].array()[3:38]
            assert_as_uproot(*found[name], array)
            assert found[name][0].dtype == ak.to_numpy(ak.flatten(array, axis=None)).dtype  # as in the TTree


def test_fields_of_physlite(shared_data):
    ntuple = open_ntuple(shared_data / "physlite_rntuple.root", "EventData")
    names = [name for name in ntuple.field_names if "AnalysisMuonsAuxDyn" in name and is_plain(ntuple, name)]
    assert len(names) > 20
    found = read_plain(ntuple, names)
    with uproot.open({shared_data / "physlite_rntuple.root": "EventData"}) as tree:
        for name in names:
            assert_as_uproot(*found[name], tree[name].array())


def test_several_clusters_and_no_entry(tmp_path):
    ntuple = open_ntuple(make_ntuple(tmp_path / "in.root", (10, 20, 5)))
    found = read_plain(ntuple, ["id", "xs", "small", "flag"], 8, 33)
    assert found["id"][0].tolist() == list(range(8, 33)) and found["id"][1] is None
    assert np.diff(found["xs"][1]).tolist() == [n % 4 for n in range(8, 33)]
    assert found["small"][0].dtype == np.int16 and found["flag"][0].dtype == bool
    nothing = read_plain(ntuple, ["id", "xs"], 5, 5)
    assert len(nothing["id"][0]) == 0 and nothing["xs"][1].tolist() == [0]


@pytest.mark.parametrize("name", ["text", "deep", "idd"])
def test_what_is_not_plain_is_refused(tmp_path, name):
    ntuple = open_ntuple(make_ntuple(tmp_path / "in.root"))
    assert not is_plain(ntuple, name)
    with pytest.raises(SourceError, match=f"in.root: ntuple Events has no field '{name}' of plain numbers"):
        read_plain(ntuple, [name])
