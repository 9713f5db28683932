"""The command line as a whole: exit codes, one-line errors, what is imported."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import uproot

from hepfilter import __version__
from hepfilter.cli.app import app, run
from tests.nano import make_nano


def modules_after(code: str) -> set[str]:
    """The top-level packages that are loaded after running `code` in a new interpreter."""
    script = (
        f"import sys, json\n{code}\nprint('\\n' + json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import hepfilter", "from hepfilter.cli.app import run; run(['--help'])"])
def test_neither_the_package_nor_help_imports_the_heavy_libraries(code):
    assert not modules_after(code) & {"torch", "awkward", "uproot", "numpy", "pythia8mc", "fastjet"}


def test_every_command_has_help(capsys):
    for command in app.registered_commands:
        name = command.callback.__name__
        assert run([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert command.callback.__doc__.splitlines()[0].split(":")[0][:40] in " ".join(text.split())
        assert "Example:" in text


def test_the_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"hepfilter {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["skimm"],
        ["skim"],
        ["skim", "a.root", "-o", "b.root", "--keep", "2"],
        ["skim", "x", "-o"],
        ["skim", "a.root", "-o", "b.root", "--where", "nJet > 0", "--model", "decides-nothing"],
    ],
)
def test_wrong_usage_is_2(arguments, capsys):
    assert run(arguments) == 2
    assert capsys.readouterr().err.strip()


def test_our_error_is_one_line_on_stderr_and_1(tmp_path, untrained_model, capsys):
    code = run(
        [
            "skim",
            str(tmp_path / "no.root"),
            "-o",
            str(tmp_path / "o.root"),
            "--keep",
            "1%",
            "--model",
            str(untrained_model),
        ]
    )
    captured = capsys.readouterr()
    assert (code, captured.out) == (1, "")
    assert captured.err.startswith("hepfilter: ") and captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_results_go_to_stdout_and_json_is_json(tmp_path, untrained_model, capsys):
    source = make_nano(tmp_path / "in.root", 100)
    arguments = ["skim", str(source), "-o", str(tmp_path / "o.root"), "--keep", "10%", "--model", str(untrained_model)]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert "10 events written" in captured.out and "10.000%" in captured.out
    assert captured.err == ""  # no progress bar where stderr is no terminal
    assert run([*arguments, "--force", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["written"], report["files"][0]["cutflow"][0]["events"]) == (10, 100)


def hepfilter(*arguments: object, **options: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "hepfilter", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_leaves_nothing(tmp_path, untrained_model, number):
    source = make_nano(tmp_path / "in.root", 30_000, basket=10_000)
    out = tmp_path / "out"
    out.mkdir()
    with hepfilter(
        "skim", source, "-o", out / "o.root", "--keep", "100%", "--model", untrained_model, "--compression", "LZMA:9"
    ) as process:
        deadline = time.monotonic() + 60
        while not list(out.iterdir()) and time.monotonic() < deadline:  # until it writes
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    ended, *resumed = [line for line in errors.splitlines() if line.startswith("hepfilter: ")]
    assert ended == f"hepfilter: ended by {number.name}; nothing half-written is left"
    left = list(out.iterdir())  # what it had time to finish, if anything: said so, and nothing else
    assert resumed == [f"hepfilter: {path} holds what was done; the same command goes on from there" for path in left]
    assert [path.name for path in left] in ([], ["o.root.ledger"])


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, untrained_model):
    import resource

    source = make_nano(tmp_path / "in.root", 20_000)
    out = tmp_path / "out"
    out.mkdir()
    limit = 300_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = [
        "skim",
        source,
        "-o",
        out / "o.root",
        "--keep",
        "100%",
        "--model",
        untrained_model,
        "--compression",
        "none",
    ]
    with hepfilter(*arguments, preexec_fn=small_files, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert "cannot be written: File too large" in errors and errors.count("\n") == 1
    assert list(out.iterdir()) == []


def test_the_compression_is_the_sources_own_unless_given(tmp_path, untrained_model):
    source = make_nano(tmp_path / "in.root", 100)
    for option, expected in ([], uproot.ZLIB(1)), (["--compression", "LZ4:4"], uproot.LZ4(4)):
        run(
            [
                "skim",
                str(source),
                "-o",
                str(tmp_path / "o.root"),
                "--keep",
                "50%",
                "--model",
                str(untrained_model),
                "--force",
                *option,
            ]
        )
        with uproot.open(tmp_path / "o.root") as file:
            assert file.file.compression.code == expected.code
