"""The site of the documentation: built without a warning, complete, and from no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import hepfilter
from hepfilter.cli.app import app
from tests.browser import chromium
from tests.documents import PAGES, ROOT, command_names

OFTEN = ("index", "quick-start", "how-to/menu", "models/comparisons", "reference/commands", "reference/configuration")
"""Pages with the widest of tables and blocks: looked at in every run of the tests."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    return [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]


def test_every_page_is_in_the_site(site: Path) -> None:
    names = {path.relative_to(site).with_suffix("") for path in pages(site)}
    assert names == {path.relative_to(ROOT / "docs").with_suffix("") for path in PAGES}


def test_nothing_comes_from_the_network(site: Path) -> None:
    for path in pages(site):
        html = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\" >]+)", html)
        loaded += re.findall(r"<link\b(?![^>]*canonical)[^>]*\bhref=\"?([^\" >]+)", html)
        assert loaded
        assert [address for address in loaded if re.match(r"(?:https?:)?//", address)] == []
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_command_has_a_section_and_help(site: Path) -> None:
    html = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in command_names():
        command = typer.main.get_command(app)
        for word in name:
            command = command.commands[word]  # type: ignore[attr-defined]
        assert command.help and "Example: hepfilter" in command.help, name
        assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == [], name
        assert f'id="{"-".join(name)}"' in html, name
        section = html.partition(f'id="{"-".join(name)}"')[2].partition("<h2")[0]
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert {option for option in options if option not in section} == set(), name
        assert re.search(rf'<td>[^\n]*<a href="#{name[0]}">', html), (
            f"{name}: is not in the table of what to use it for"
        )


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    html = (site / "reference" / "python.html").read_text(encoding="utf-8")
    names = [name for name in hepfilter.__all__ if not name.startswith("__")]
    assert [name for name in names if not re.search(rf"hepfilter\.{name}\s*<", html)] == []


def test_every_key_of_a_menu_is_in_the_reference(site: Path) -> None:
    html = (site / "reference" / "configuration.html").read_text(encoding="utf-8")
    for key, value, default in (
        ("lumi_section", "number &gt; 0", "<code>23.31</code>"),
        ("fraction", "share: <code>1%</code>", "–"),
        ("cross_section", "number &gt; 0", "–"),
        ("walltime", "whole number ≥ 60", "must be given"),
    ):
        row = next(
            row for row in re.findall(r"<tr>.*?</tr>", html, flags=re.DOTALL) if f"<code>{key}</code></td>" in row
        )
        assert value in row and default in row, row


@pytest.mark.parametrize("chosen", [OFTEN, pytest.param((), marks=pytest.mark.long)], ids=["often", "all"])
def test_pages_fit_a_telephone_without_an_error_and_can_be_searched(site: Path, chosen: tuple[str, ...]) -> None:
    faults: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
        page.set_viewport_size({"width": 390, "height": 844})  # what fits a telephone fits a screen
        for path in [site / f"{name}.html" for name in chosen] or pages(site):
            page.goto(path.as_uri(), wait_until="domcontentloaded")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults.append(f"{path.relative_to(site)} is wider than 390 px")
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto((site / "index.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("prescale")
        page.locator(".md-search-result__item").first.wait_for()
    assert faults == []
