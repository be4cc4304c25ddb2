"""The house has floors: imports point down, and what must stay light imports nothing heavy."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "fovea"

ROOMS = ("events", "photo", "relight", "synth", "vlm")
FLOORS = (
    ("errors",),
    ("config", "declaration", "dialect", "layers", "console", "catalog", "client", "logs"),
    ("runs",),
    ("tuning",),
    ("training", "scene", "metrics"),
    ROOMS,
    ("viewer",),
    ("service",),
    ("cli", "completion", "describe", "__main__"),
)
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}
HEAVY = {"torch", "numba", "cv2", "av", "pycolmap", "scipy", "optuna", "fastapi", "wandb", "mlflow"}

# Lazy words, checked here rather than followed: the command table and the stages' import paths are
# strings, and `fovea demo` asks the viewer for its page when the run is over.
LATE = {("runs", "viewer")}


def modules() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if "vendor" not in path.parts]


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    """The dotted names a module imports; with `top_only` those it imports when it is imported."""
    tree = ast.parse(path.read_text())
    for node in tree.body if top_only else _reached(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "fovea":
                yield from (f"fovea.{name.name}" for name in node.names)
            else:
                yield node.module


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """Everything inside a node, but for what only the type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _reached(child)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = room_of(path)
    if here == "__init__":
        return
    for name in imports(path):
        if not name.startswith("fovea."):
            continue
        there = name.split(".")[1]
        if there == here or (here, there) in LATE:
            continue
        assert FLOOR[there] <= FLOOR[here], f"{here} imports {name}, which stands above it"
        assert not (here in ROOMS and there in ROOMS), f"room {here} imports room {there}"


def test_every_module_has_a_floor() -> None:
    unknown = {room_of(path) for path in modules()} - set(FLOOR) - {"__init__", "samples"}
    assert not unknown, f"no floor is known for {unknown}; add it to FLOORS"


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in modules()
        if room_of(path) in ("errors", "config", "console", "dialect", "catalog", "cli", "runs")
        or path.name == "stages.py"
        or path.parent.name == "settings"
    ],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_what_must_answer_at_once_imports_nothing_heavy(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports(path, top_only=True)} & HEAVY
    assert not heavy, f"{path.relative_to(SOURCE)} imports {heavy} when it is imported"


def test_rooms_of_the_same_floor_do_not_import_each_other_in_a_circle() -> None:
    edges = {
        (room_of(path), name.split(".")[1])
        for path in modules()
        for name in imports(path)
        if name.startswith("fovea.") and (room_of(path), name.split(".")[1]) not in LATE
    }
    circles = {(a, b) for a, b in edges if a < b and (b, a) in edges}
    assert not circles, f"these import each other: {circles}"
