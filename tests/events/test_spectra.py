"""The spectra that are quick enough for every event."""

import numpy as np

from hepfilter.events.observables import OBSERVABLES, observe
from hepfilter.events.spectra import SPECTRA, read_spectra
from hepfilter.io.events import find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from tests.nano import make_nano


def test_they_are_the_observables_of_that_name(tmp_path):
    with open_file(Source(str(make_nano(tmp_path / "in.root", 300)))) as file:
        record = find_events(file).read().record
    observed = observe(record)
    found = read_spectra(record, ("jet", "met", "muon"))
    assert tuple(found) == SPECTRA
    for name, values in found.items():
        assert np.allclose(values, observed[:, OBSERVABLES.index(name)], rtol=1e-6), name
        assert values.max() > 0


def test_what_a_model_does_not_look_at_is_not_read(tmp_path):
    with open_file(Source(str(make_nano(tmp_path / "in.root", 10)))) as file:
        record = find_events(file, wanted=("met",)).read().record
    assert tuple(read_spectra(record, ("met",))) == ("met",)
