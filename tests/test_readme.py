"""What the README shows works: each command has an example, and those that need no more than a small file run."""

from tests.documents import README, command_names, command_of, commands, missing_options, read, run_page


def test_every_command_is_in_the_readme_and_every_option_exists(capsys):
    shown = commands(read(README))
    assert {command_of(words) for words in shown} == command_names()
    assert not missing_options(shown, capsys)


def test_the_readme_is_short():
    assert len(read(README).splitlines()) <= 250


def test_what_the_readme_shows_runs(small_files, tmp_path, monkeypatch, capsys):
    assert run_page(README, small_files, tmp_path, monkeypatch, capsys)["report"].written == 4
    assert {"dimuon.root", "scores.parquet", "discovery.lock", "whole.root"} <= {
        path.name for path in tmp_path.iterdir()
    }
