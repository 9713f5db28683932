"""Short limits, and no memory of servers that failed."""

import pytest

from hepfilter.io.remote import replicas
from hepfilter.io.remote.limits import RemoteLimits

SHORT = RemoteLimits(open=1, read=1, attempts=3, pause=0.02)


@pytest.fixture(autouse=True)
def short_limits(monkeypatch):
    for name, value in SHORT.to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(replicas, "_failed", {})
