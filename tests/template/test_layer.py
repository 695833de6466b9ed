"""The layer as its makefile builds it for both architectures: whatever this machine is, Lambda can load it."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

LAYER = Path(__file__).parents[2] / "layers" / "rolegate"
MACHINES = {"LayerArm64": 0xB7, "LayerX86": 0x3E}  # e_machine of aarch64 and of x86-64, in the ELF header
NEEDED = ("rolegate", "cryptography", "jwt", "bcrypt", "aws_lambda_powertools")
UNUSED = ("boto3", "botocore", "s3transfer", "pycparser", "pip", "setuptools", "bin")
LIMIT = 250 * 2**20  # of a function and its layers, unzipped
UNCHECKED = 0b01  # flags of a .pyc (PEP 552): by hash, and never compared with the source


@pytest.fixture(scope="module", params=MACHINES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Build one layer; gives its name and its folder."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    make = shutil.which("make")
    assert make, "make is missing"
    command = [make, "--directory", str(LAYER), f"build-{name}", f"ARTIFACTS_DIR={folder}"]
    ours = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL"}}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ours)
    assert done.returncode == 0, done.stderr
    return name, folder / "python"


def files(folder: Path, suffix: str) -> list[Path]:
    return [path for path in folder.rglob(f"*{suffix}") if path.is_file()]


def test_every_library_is_of_the_layers_architecture(built: tuple[str, Path]) -> None:
    name, folder = built
    libraries = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert {path.parts[len(folder.parts)] for path in libraries} >= {"bcrypt", "cryptography"}
    for library in libraries:
        [machine] = struct.unpack_from("<H", library.read_bytes(), 18)
        assert machine == MACHINES[name], library


def test_every_library_has_a_suffix_that_python_3_13_loads(built: tuple[str, Path]) -> None:
    _, folder = built
    for library in files(folder, ".so"):
        tags = library.name.split(".")[1:-1]
        assert not tags or tags == ["abi3"] or tags[0].startswith("cpython-313-"), library


def test_what_is_needed_is_there_and_what_is_not_is_not(built: tuple[str, Path]) -> None:
    _, folder = built
    found = {path.name for path in folder.iterdir()}
    assert found >= set(NEEDED)
    assert not found & set(UNUSED)
    assert not files(folder, ".pyi")
    assert not list(folder.rglob("tests"))
    ours = {path.stem for path in (folder / "rolegate").glob("*.py")}
    assert "guard" in ours
    assert "testing" not in ours  # that is for machines on which tests run


def test_every_module_has_bytecode_that_is_never_checked(built: tuple[str, Path]) -> None:
    _, folder = built
    for module in files(folder, ".py"):
        compiled = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        assert compiled.exists(), module
        assert struct.unpack_from("<I", compiled.read_bytes(), 4) == (UNCHECKED,), module


def test_a_traceback_names_files_where_lambda_has_them(built: tuple[str, Path]) -> None:
    _, folder = built
    compiled = (folder / "rolegate" / "__pycache__" / "errors.cpython-313.pyc").read_bytes()
    assert b"/opt/python/rolegate/errors.py" in compiled


def test_the_layer_fits(built: tuple[str, Path], record_property: Callable[[str, object], None]) -> None:
    name, folder = built
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    record_property(name, f"{size / 2**20:.1f} MiB unzipped")  # to be seen in every run
    assert size < LIMIT / 2
