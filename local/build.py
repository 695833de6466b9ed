"""Build the template with SAM, once for each change of what goes in: `python -m local.build [architecture ...]`."""

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from local.home import ARCHITECTURE, CREDENTIALS, ROOT, Home, shown
from local.process import Failure, end_on_signals, run, tail

BUILDS = ROOT / ".aws-sam"
BIN = Path(sys.executable).parent
LAYERS = {"arm64": "LayerArm64", "x86_64": "LayerX86"}


def built(architecture: str = ARCHITECTURE) -> Path:
    """Name the folder of the build for an architecture; its template is `template.yaml`."""
    return BUILDS / architecture


def sources() -> Iterator[Path]:
    """List every file that a build depends on."""
    yield from (ROOT / "template.yaml", ROOT / "requirements-dev.txt")
    for folder in ("functions", "layers"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def digest() -> str:
    """Summarise all that a build depends on."""
    summary = hashlib.sha256()
    for path in sources():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        summary.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return summary.hexdigest()


def build(home: Home, architecture: str = ARCHITECTURE) -> bool:
    """Build for an architecture, unless it is built already; say whether there was anything to do.

    Raises:
        Failure: SAM could not build it.
    """
    folder = built(architecture)
    stamp = BUILDS / f"{architecture}.sha256"
    BUILDS.mkdir(exist_ok=True)
    with (BUILDS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = digest()
        if folder.exists() and stamp.exists() and stamp.read_text() == wanted:
            return False
        stamp.unlink(missing_ok=True)
        sam_build(home, architecture)
        finish(folder, architecture)
        stamp.write_text(wanted)
    return True


def sam_build(home: Home, architecture: str) -> None:
    """Run `sam build`, without the other architecture's layer, which nothing would use."""
    log = home.path / "build.log"
    others = [layer for name, layer in LAYERS.items() if name != architecture]
    command = [
        *(str(BIN / "sam"), "build", "--build-dir", str(built(architecture)), "--exclude", *others),
        *("--parameter-overrides", f"Architecture={architecture}"),
    ]
    if not run(command, env=sam_environment(home), log=log, cwd=ROOT):
        raise Failure(f"sam build failed. Mend what it says (all of it is in {shown(log)}):\n{tail(log)}")


def sam_environment(home: Home) -> dict[str, str]:
    """Give SAM an environment in which it finds our Python first, and leaves its temporary files with us."""
    home.scratch.mkdir(parents=True, exist_ok=True)
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SAM_"))},
        **CREDENTIALS,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "TMPDIR": str(home.scratch),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
    }


def finish(folder: Path, architecture: str) -> None:
    """Rid the built template of what was left out, and write the variant that `sam local invoke` takes.

    The other architecture's layer stands under a false condition, but SAM packs it all the same: let it pack the one
    that was built. `sam local invoke` sets no variable that its template does not declare: declare the local AWS's.
    """
    path = folder / "template.yaml"
    template = yaml.safe_load(path.read_text())
    resources = template["Resources"]
    for layer in LAYERS.values():
        resources[layer]["Properties"]["ContentUri"] = LAYERS[architecture]
    path.write_text(yaml.safe_dump(template, sort_keys=False))

    template["Parameters"]["Architecture"]["Default"] = architecture
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            variables["AWS_ENDPOINT_URL"] = ""
    (folder / "invoke.yaml").write_text(yaml.safe_dump(template, sort_keys=False))


def main() -> None:
    """Build for the architectures named, or for both, and print the sizes of their layers."""
    end_on_signals()
    for architecture in sys.argv[1:] or LAYERS:
        build(Home(), architecture)
        layer = built(architecture) / LAYERS[architecture]
        size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        print(f"{layer.relative_to(ROOT)}: {size / 1e6:.1f} MB unzipped")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
