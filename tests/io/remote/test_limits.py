"""How long a remote file may keep us waiting."""

import pytest

from hepfilter.errors import UsageError
from hepfilter.io.remote.limits import RemoteLimits


def test_the_environment_sets_limits_and_another_process_gets_them(monkeypatch):
    for name in RemoteLimits().to_environment():
        monkeypatch.delenv(name)
    assert RemoteLimits.from_environment() == RemoteLimits(open=30, read=60, attempts=4, pause=2)
    limits = RemoteLimits(open=1.5, read=3, attempts=2, pause=0.1)
    for name, value in limits.to_environment().items():
        monkeypatch.setenv(name, value)
    assert RemoteLimits.from_environment() == limits
    monkeypatch.setenv("HEPFILTER_REMOTE_READ", " ")
    assert RemoteLimits.from_environment().read == 60


@pytest.mark.parametrize(
    ("variable", "value"), [("OPEN", "0"), ("READ", "nan"), ("READ", "soon"), ("ATTEMPTS", "1.5"), ("PAUSE", "-1")]
)
def test_limits_that_are_none(variable, value, monkeypatch):
    monkeypatch.setenv(f"HEPFILTER_REMOTE_{variable}", value)
    with pytest.raises(UsageError, match=rf"^HEPFILTER_REMOTE_{variable} .*: give a .*number above 0$"):
        RemoteLimits.from_environment()
