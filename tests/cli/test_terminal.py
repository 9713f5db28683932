"""Progress on a terminal."""

import threading

from hepfilter.cli import terminal
from hepfilter.cli.terminal import event_progress


def test_the_bar_needs_no_thread_and_shows_the_end(monkeypatch, capsys):
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    before = threading.active_count()
    with event_progress() as progress:
        progress("writing", 1, 10)
        assert threading.active_count() == before  # beside a thread no worker is forked
        progress("writing", 10, 10)
    assert "10/10" in capsys.readouterr().err
