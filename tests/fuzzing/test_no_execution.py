"""Nothing that comes from a file is ever executed: no call in the package could do it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hepfilter

PACKAGE = Path(hepfilter.__file__).parent
FORBIDDEN_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "pandas"}
OWN_PROCESSES = "work"
"""The one folder that may unpickle: what processes of ours send one another."""
READERS = {"yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "torch.load", "numpy.load", "np.load"}
READERS |= {"pickle.load", "pickle.loads", "pickle.Unpickler", "read_pickle", "pd.read_hdf"}
BUILTINS = {"eval", "exec", "compile", "__import__"}


def faults(source: str, *, in_work: bool = False, plain_loader: bool = False) -> list[str]:
    """What a module must not do, each with its line."""
    return list(_faults(ast.parse(source), in_work=in_work, plain_loader=plain_loader))


def _faults(tree: ast.AST, *, in_work: bool, plain_loader: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            top = name.split(".")[0]
            if top in FORBIDDEN_MODULES or (top in ("pickle", "_pickle") and not in_work):
                yield f"line {node.lineno}: imports {name}"
            if name in READERS:
                yield f"line {node.lineno}: imports {name}"
        if isinstance(node, ast.Call) and (fault := _called(node, in_work=in_work, plain_loader=plain_loader)):
            yield f"line {node.lineno}: {fault}"


def _called(node: ast.Call, *, in_work: bool, plain_loader: bool) -> str:
    """What is wrong with a call; empty if nothing is."""
    name = ast.unparse(node.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if name in BUILTINS or name.endswith(("os.system", "os.popen")) or given.get("shell") == "True":
        return f"calls {name}"
    if given.get("allow_pickle", "False") != "False" or given.get("weights_only", "True") != "True":
        return f"lets {name} unpickle"
    if name not in READERS:
        return ""
    if name in ("np.load", "numpy.load"):
        return "" if given.get("allow_pickle") == "False" else f"{name} without allow_pickle=False"
    if name == "yaml.load" and given.get("Loader") == "_PlainLoader":
        return "" if plain_loader else "a loader of its own"
    return "" if name.startswith("pickle.") and in_work else f"calls {name}"


def test_nothing_is_executed() -> None:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        in_work, has_loader = place.parts[0] == OWN_PROCESSES, place == Path("config/base.py")
        found[str(place)] = faults(path.read_text(encoding="utf-8"), in_work=in_work, plain_loader=has_loader)
    assert len(found) > 250
    assert {place: said for place, said in found.items() if said} == {}


def test_our_loader_is_the_safe_one() -> None:
    import yaml

    from hepfilter.config.base import _PlainLoader

    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    assert issubclass(_PlainLoader, safe)
    assert _PlainLoader.yaml_constructors == safe.yaml_constructors
    assert _PlainLoader.yaml_multi_constructors == safe.yaml_multi_constructors


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import joblib", "import yaml\nyaml.load(x)",
        "yaml.unsafe_load(x)", "yaml.load(x, Loader=yaml.Loader)", "yaml.load(x, Loader=_PlainLoader)", "torch.load(p)",
        "torch.load(p, weights_only=False)", "np.load(p)", "np.load(p, allow_pickle=True)", "eval(x)", "exec(x)",
        "from yaml import load", "subprocess.run(x, shell=True)", "os.system(x)", "compile(x, 'a', 'exec')",
        "f(weights_only=False)", "from torch import load",
    ],
)  # fmt: skip
def test_the_check_sees_it(source: str) -> None:
    assert faults(source)


def test_the_check_lets_the_rest_be() -> None:
    assert not faults("import json, yaml\nmodel.eval()\nre.compile(x)\nsafetensors.torch.load(raw)\n")
    assert not faults("np.load(p, allow_pickle=False)")
    assert not faults("import pickle\npickle.loads(x)", in_work=True)
    assert not faults("yaml.load(x, Loader=_PlainLoader)", plain_loader=True)
