"""The names of the package: all there, all found, and nothing heavy loaded before one is used."""

import inspect

import hepfilter
from hepfilter.api import verbs
from tests.cli.test_app import modules_after

HEAVY = {"torch", "awkward", "uproot", "numpy", "pydantic", "rich", "matplotlib"}


def test_the_package_is_light_until_a_name_is_used():
    assert not modules_after("import hepfilter; dir(hepfilter)") & HEAVY
    assert "awkward" in modules_after("import hepfilter; hepfilter.Filter")  # so the check can fail
    assert not modules_after("import hepfilter; hepfilter.skim, hepfilter.verify") & {"torch", "awkward", "matplotlib"}


def test_every_public_name_is_found_and_listed():
    assert set(hepfilter.__all__) <= set(dir(hepfilter))
    assert sorted(hepfilter._PLACES) == sorted(set(hepfilter.__all__) - {"__version__"})
    for name in hepfilter.__all__:
        assert getattr(hepfilter, name) is not None
    for name in hepfilter._PLACES:
        assert hepfilter.public(name).__doc__, name
    assert not hasattr(hepfilter, "skimm")


def test_the_package_skim_is_the_verb_too():
    import hepfilter.skim.pipeline

    assert inspect.ismodule(hepfilter.skim) and callable(hepfilter.skim)
    assert inspect.signature(hepfilter.skim) == inspect.signature(verbs.skim)
