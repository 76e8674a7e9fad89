"""Types and documentation: what the stubs say is what the package does."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ciphertune
from ciphertune import _native

PACKAGE = Path(ciphertune.__file__).parent
SOURCES = Path(__file__).parents[1] / "ciphertune"
CONFIGURATION = Path(__file__).parents[1] / "pyproject.toml"


def mypy(folder, *arguments):
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_is_typed(tmp_path):
    mypy(tmp_path, "mypy", "--config-file", str(CONFIGURATION), str(SOURCES))


def test_the_stubs_are_those_of_the_native_module(tmp_path):
    mypy(tmp_path, "mypy.stubtest", "--mypy-config-file", str(CONFIGURATION), "ciphertune._native")


def test_the_documentation_of_the_native_module_is_that_of_its_stubs():
    """Editors show the stubs', help() shows the module's."""
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    expected = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            expected[node.name] = ast.get_docstring(node)
        for inner in node.body if isinstance(node, ast.ClassDef) else []:
            # An overload has it once.
            if isinstance(inner, ast.FunctionDef) and inner.name != "__new__" and ast.get_docstring(inner):
                expected[f"{node.name}.{inner.name}"] = ast.get_docstring(inner)
    found = {}
    for name in set(_native.__all__) - {"__version__"}:
        value = getattr(_native, name)
        found[name] = inspect.getdoc(value)
        for inner in vars(value) if inspect.isclass(value) else []:
            if not inner.startswith("_"):
                found[f"{name}.{inner}"] = inspect.getdoc(getattr(value, inner))
    assert found == expected and all(found.values())


@pytest.mark.parametrize("name", sorted(set(ciphertune.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name):
    value = getattr(ciphertune, name)
    names = [inner for inner in vars(value) if not inner.startswith("_")] if inspect.isclass(value) else []
    # The properties of the estimator are among its attributes.
    undocumented = [inner for inner in names if not inspect.getdoc(getattr(value, inner)) and not inner.endswith("_")]
    assert value.__doc__ and undocumented == []
