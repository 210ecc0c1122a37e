"""The house of the design: imports go one way, and `--help` imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sdr2hdr

PACKAGE = Path(sdr2hdr.__file__).parent

BASE = {"signal", "frames", "options", "errors", "cores", "heap", "version", "whole_file"}
BASE |= {"path_kinds", "strict_json", "wording", "interrupts"}
BELOW = {
    "overlap": BASE,
    "colour": BASE,
    "media": BASE,
    "curves": BASE | {"colour"},
    "networks": BASE | {"colour"},
    "methods": BASE | {"networks", "curves"},
    "engine": BASE | {"methods", "networks", "curves", "colour"},
    "quality": BASE | {"colour"},
    "delivery": BASE | {"media", "quality"},
    "output": BASE | {"delivery", "media", "quality", "colour"},
    "conversion": BASE | {"engine", "delivery", "media", "overlap"},
    "range_summary": BASE | {"media", "quality"},
    "frame_stages": BASE
    | {"conversion", "output", "overlap", "engine", "media", "quality", "colour"},
    "pipeline": BASE
    | {"conversion", "frame_stages", "range_summary", "output", "overlap"}
    | {"engine", "delivery", "media", "quality", "colour"},
}
BELOW["training"] = BASE | {"networks", "curves", "colour", "quality", "media"}
BELOW["jobs"] = (
    BASE
    | {"pipeline", "conversion", "range_summary", "output"}
    | {"delivery", "media", "quality", "engine"}
)
BELOW["bench"] = BELOW["jobs"] | {"jobs", "methods", "networks", "curves", "overlap"}
BELOW["exam"] = BELOW["training"] | {"training", "methods", "engine"}
BELOW["cli"] = BASE | set(BELOW)
BELOW["__main__"] = {"cli"}
BELOW |= dict.fromkeys(BASE, BASE)

MEDIA_BASE = {"av_log", "mapped_file", "mastering", "opening", "pixel_formats", "planes"}
MEDIA_BASE |= {"source", "targets"}
BELOW_IN_MEDIA = {
    "containers": MEDIA_BASE,
    "bitstreams": MEDIA_BASE,
    "signalling": MEDIA_BASE | {"containers", "bitstreams"},
    "reading": MEDIA_BASE | {"containers", "bitstreams", "signalling"},
    "encoding": MEDIA_BASE | {"containers", "bitstreams", "signalling"},
}
BELOW_IN_MEDIA["copying"] = BELOW_IN_MEDIA["encoding"] | {"encoding", "reading"}
BELOW_IN_MEDIA["writing"] = BELOW_IN_MEDIA["copying"] | {"copying"}
BELOW_IN_MEDIA["hdr10"] = BELOW_IN_MEDIA["writing"] | {"writing"}
BELOW_IN_MEDIA |= dict.fromkeys(MEDIA_BASE, MEDIA_BASE)

HEAVY = {"torch", "onnx", "onnxruntime", "colour", "numpy", "av", "rich"}
HOMES = {"click": {"cli"}, "rich": {"cli"}, "av": {"media"}, "onnxruntime": {"engine"}}


def part_of(path: Path) -> str:
    """Folder or module directly under the package."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_modules(path: Path) -> list[str]:
    """Dotted names that a file imports, at its top or inside a function."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.append(node.module or "")
            if node.module == "sdr2hdr":
                names += [f"sdr2hdr.{alias.name}" for alias in node.names]
    return names


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if part_of(path) != "__init__")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_the_house(path: Path):
    part = part_of(path)
    for name in imported_modules(path):
        pieces = name.split(".")
        if pieces[0] != "sdr2hdr" or len(pieces) == 1 or pieces[1] not in BELOW:
            continue
        allowed = BELOW[part] | {part}
        assert pieces[1] in allowed, f"{part} may not import {name}"


def test_every_part_has_a_place_in_the_house():
    assert {part_of(path) for path in sources()} <= set(BELOW)


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (PACKAGE / "media").rglob("*.py") if path.parent.name != "media"),
    ids=lambda path: str(path.relative_to(PACKAGE / "media")),
)
def test_imports_point_down_in_media(path: Path):
    folder = path.parent.name
    for name in imported_modules(path):
        pieces = name.split(".")
        if pieces[:2] == ["sdr2hdr", "media"] and len(pieces) > 2:
            allowed = BELOW_IN_MEDIA[folder] | {folder}
            assert pieces[2] in allowed, f"{folder} may not import {name}"


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_stay_in_their_homes(library: str):
    users = {
        part_of(path)
        for path in sources()
        if any(name.split(".")[0] == library for name in imported_modules(path))
    }
    assert users, f"nothing imports {library}: the check has lost its subject"
    assert users <= HOMES[library]


def test_onnx_runtime_is_taken_from_where_its_telemetry_is_off():
    users = [path.name for path in sources() if "onnxruntime" in imported_modules(path)]
    assert users == ["onnx_runtime.py"]


def test_help_imports_nothing_heavy():
    """That of the program and of each command, one after another: `--help` is to feel instant."""
    code = (
        "import sys; from sdr2hdr.cli import COMMANDS, run\n"
        "for command in ((), *((name,) for name in COMMANDS)):\n"
        "    arguments = [*command, '--help']\n"
        "    run(arguments)\n"
        f"    print(arguments, sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) > 10
    assert [line for line in lines if not line.endswith("] []")] == []
    assert done.stdout.count("Usage: ") == len(lines)


def test_version_imports_nothing_heavy():
    code = (
        "import sys; from sdr2hdr.cli import run; run(['--version']); "
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_only_what_a_module_offers_is_imported_from_it():
    """A module's `__all__` is what others may rely on; a missing name hides who does."""
    offers: dict[str, set[str]] = {}
    for path in [PACKAGE / "__init__.py", *sources()]:
        name = ".".join(("sdr2hdr", *path.relative_to(PACKAGE).with_suffix("").parts))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                offers[name.removesuffix(".__init__")] = set(ast.literal_eval(node.value))
    assert len(offers) > 100
    taken = {
        f"{path.relative_to(PACKAGE)} takes {alias.name} from {node.module}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in offers
        for alias in node.names
        if alias.name not in offers[node.module]
        and not (PACKAGE.parent / node.module.replace(".", "/") / f"{alias.name}.py").exists()
    }
    assert sorted(taken) == []
