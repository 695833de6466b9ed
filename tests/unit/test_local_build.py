from pathlib import Path

import pytest
import yaml

from local import build

TEMPLATE = {
    "Parameters": {"Architecture": {"Type": "String", "Default": "arm64"}},
    "Resources": {
        "LayerArm64": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "../../layers/rolegate"}},
        "LayerX86": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "LayerX86"}},
        "HelloFunction": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "HelloFunction"}},
    },
}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("template.yaml", "requirements-dev.txt", "functions/hello/app.py", "layers/rolegate/Makefile"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["template.yaml", "functions/hello/app.py", "layers/rolegate/new.py"])
def test_a_change_of_any_source_calls_for_a_build(sources: Path, name: str) -> None:
    before = build.digest()
    assert build.digest() == before
    (sources / name).write_text("changed")
    assert build.digest() != before


def test_bytecode_calls_for_no_build(sources: Path) -> None:
    before = build.digest()
    (sources / "functions/hello/__pycache__").mkdir()
    (sources / "functions/hello/__pycache__/app.cpython-313.pyc").write_text("code")
    assert build.digest() == before


def test_a_built_template_packs_no_source_and_declares_the_endpoint_for_sam_local_invoke(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(TEMPLATE))
    build.finish(tmp_path, "x86_64")
    built = yaml.safe_load((tmp_path / "template.yaml").read_text())
    assert built["Resources"]["LayerArm64"]["Properties"]["ContentUri"] == "LayerX86"
    assert "Environment" not in built["Resources"]["HelloFunction"]["Properties"]
    invocable = yaml.safe_load((tmp_path / "invoke.yaml").read_text())
    assert invocable["Parameters"]["Architecture"]["Default"] == "x86_64"
    variables = invocable["Resources"]["HelloFunction"]["Properties"]["Environment"]["Variables"]
    assert variables == {"AWS_ENDPOINT_URL": ""}
