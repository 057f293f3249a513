"""The rooms of the package, the floors that they stand on, and every import between them, read from the source.

``python tests/rooms.py`` prints what there is now.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
FACE = "pullback"
# From the ground up. What stands on one floor may know what stands to its left there, and all that is below.
FLOORS = (
    ("_version", "_extras", "_files", "_cache", "_dtypes", "_kernels", "_borders", "_plan", "_layout"),
    ("_arrays", "_check", "backends", "_reference"),
    ("threads", "sampling", "transforms"),
    ("warping",),
    ("nn", "compat"),
    ("train", "__init__"),
    ("cli",),
    ("__main__",),
)
# Side by side, without knowing each other; and the oracle, which nothing but the tests imports.
STRANGERS = (("sampling", "transforms"), ("transforms", "sampling"), ("nn", "compat"), ("compat", "nn"))
ORACLE = "_reference"


def path_of(module: str) -> Path | None:
    """Return the file of a module, None if it has none."""
    path = SOURCE.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


@cache
def modules() -> tuple[str, ...]:
    """Return the names of all modules of the package."""
    names = []
    for file in sorted((SOURCE / FACE).rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return tuple(names)


def room_of(module: str) -> str:
    """Return the room that a module stands in: its first name below the package."""
    return module.split(".")[1] if "." in module else "__init__"


@cache
def floor_of(room: str) -> int:
    """Return the floor of a room, from 1 on."""
    return next(number for number, rooms in enumerate(FLOORS, 1) if room in rooms)


def imports_of(module: str) -> Iterator[tuple[str, int]]:
    """Yield what a module of the package imports of the package, wherever in the file it does so, and the line."""
    path = path_of(module)
    assert path is not None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == FACE:
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) + 1 - node.level]
                source = ".".join([*above, *([source] if source else [])])
            if source.split(".")[0] == FACE:
                for alias in node.names:
                    name = f"{source}.{alias.name}"
                    yield (name if path_of(name) else source), node.lineno


@cache
def arrows() -> tuple[tuple[str, str, int], ...]:
    """Return all imports inside the package: which module, what it imports, and the line."""
    return tuple(
        (module, target, line) for module in modules() for target, line in imports_of(module) if path_of(target)
    )


def between_rooms() -> set[tuple[str, str]]:
    """Return which room imports which other."""
    pairs = {(room_of(module), room_of(target)) for module, target, _ in arrows()}
    return {(room, other) for room, other in pairs if room != other}


def goes_up(room: str, other: str) -> bool:
    """Say whether an import of one room by another runs up, or to the right on its floor."""
    if floor_of(room) != floor_of(other):
        return floor_of(room) < floor_of(other)
    rooms = FLOORS[floor_of(room) - 1]
    return rooms.index(room) <= rooms.index(other)


def circles() -> list[set[str]]:
    """Return the sets of modules that reach each other by imports (Tarjan's strongly connected components)."""
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for module, target, _ in arrows():
        graph[module].add(target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in graph[module]:
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            circle = set(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            if len(circle) > 1 or module in graph[module]:
                found.append(circle)

    for module in modules():
        if module not in index:
            visit(module)
    return found


def levels(room: str) -> int:
    """Return how many floors the files of one room need, a file standing above all that it imports there."""
    inside = [module for module in modules() if room_of(module) == room]
    below = {module: {t for m, t, _ in arrows() if m == module and t in inside and t != module} for module in inside}

    @cache
    def height(module: str) -> int:
        return 1 + max((height(target) for target in below[module]), default=0)

    return max(map(height, inside))


if __name__ == "__main__":
    pairs = between_rooms()
    rooms = {room_of(module) for module in modules()}
    print(f"{len(rooms)} rooms on {len(FLOORS)} floors, {len(modules())} files, {len(pairs)} imports between rooms")
    print("upward:", sorted(pair for pair in pairs if goes_up(*pair)) or "none")
    print("circles:", circles() or "none")
    for number, floor in reversed(list(enumerate(FLOORS, 1))):
        inside = {room: "" if circles() else f" ({levels(room)})" for room in floor if room in rooms}
        print(number, ", ".join(f"{room}{own}" for room, own in inside.items()))
