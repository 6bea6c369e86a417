"""The rooms of nerfpipe/ and what they import, in numbers: `python -m tools.rooms [ROOT]`.

A room is a folder of nerfpipe/, a module beside the folders, or stages/. Imports inside functions count too. The table
of what a room may import is tests/rooms.py of this repository, even if ROOT is another checkout.
"""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

HERE = Path(__file__).parents[1]
PACKAGES = ("nerfpipe", "stages")
IMPORTERS = ("import_module", "__import__")  # functions that import a module by its name

Graph = dict[str, set[str]]  # each node and what it imports; nodes that import nothing are there too
Table = Mapping[str, tuple[str, ...]]  # each room and what it may import


def modules(root: Path) -> dict[str, Path]:
    """The dotted name and file of every module."""
    found = {}
    for file in sorted(file for package in PACKAGES for file in (root / package).rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported_names(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a piece of code imports; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                raise ValueError(f"line {node.lineno}: relative imports are not used in this project")
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ):
                if called in IMPORTERS:
                    yield name


def module_of(name: str, known: Mapping[str, Path]) -> str | None:
    """The module that an imported name is, or is in; None for other libraries."""
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in known), None)


def import_graph(root: Path) -> Graph:
    """What each module imports of the project.

    The package's own __init__.py is left out: Python runs it before any module of the package, whoever imports what.
    """
    known = {name: file for name, file in modules(root).items() if name not in PACKAGES}
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in known.items()}
    found = {name: {module_of(imported, known) for imported in imported_names(tree)} for name, tree in trees.items()}
    return {name: {module for module in imports if module and module != name} for name, imports in found.items()}


def short(module: str) -> str:
    """A module's name inside nerfpipe/: `fields.ngp`; modules of stages/ keep theirs."""
    return module.removeprefix("nerfpipe.")


def room_of(module: str) -> str:
    return short(module).split(".")[0]


def room_graph(graph: Graph) -> Graph:
    """What each room imports of other rooms."""
    rooms: Graph = {room_of(module): set() for module in graph}
    for module, imports in graph.items():
        rooms[room_of(module)] |= {room_of(imported) for imported in imports} - {room_of(module)}
    return rooms


def circles(graph: Graph) -> list[list[str]]:
    """The groups of nodes that import each other, directly or not: strongly connected components of two and more."""
    reach = {node: reachable(graph, node) for node in graph}
    groups = {frozenset({node} | {other for other in reach[node] if node in reach[other]}) for node in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def reachable(graph: Graph, node: str) -> set[str]:
    """All nodes that a node imports, directly or not."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def floors(graph: Graph) -> dict[str, int]:
    """The floor of each node: 1 if it imports nothing, else 1 + the highest it imports. A circle has one floor."""
    circle = {node: frozenset(group) for group in circles(graph) for node in group}
    found: dict[str, int] = {}

    def floor(node: str) -> int:
        if node not in found:
            group = circle.get(node, frozenset({node}))
            below = set().union(*(graph[member] for member in group)) - group
            height = 1 + max((floor(other) for other in below), default=0)
            found.update(dict.fromkeys(group, height))
        return found[node]

    for node in graph:
        floor(node)
    return found


def without(graph: Graph, arrows: Iterable[tuple[str, str]]) -> Graph:
    """The graph without some arrows (importer, imported), by short names; an imported room stands for its modules."""
    left_out = set(arrows)
    return {
        module: {
            imported
            for imported in imports
            if not {(short(module), short(imported)), (short(module), room_of(imported))} & left_out
        }
        for module, imports in graph.items()
    }


def allowed(table: Table, everywhere: tuple[str, ...]) -> dict[str, set[str]]:
    """The rooms that each row of the table may import: those it names, and all that they may import."""
    rows = {room: {*named, *everywhere} - {room} for room, named in table.items()}
    return {room: reachable(rows, room) | {room.split(".")[0]} for room in rows}


def upward_arrows(
    graph: Graph, table: Mapping[str, tuple[str, ...]], everywhere: tuple[str, ...]
) -> set[tuple[str, str]]:
    """The imports (importer, imported) that the table does not allow, by short names.

    Raises KeyError for a room without a row.
    """
    rows = allowed(table, everywhere)
    return {
        (short(module), short(imported))
        for module, imports in graph.items()
        for imported in imports
        if room_of(imported) not in rows.get(short(module), rows[room_of(module)])
    }


def code_deps(root: Path) -> dict[str, int]:
    """How many files and folders of code each stage of dvc.yaml depends on."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    folders = tuple(f"{package}/" for package in PACKAGES)
    return {name: sum(dep.startswith(folders) for dep in stage["deps"]) for name, stage in stages.items()}


def report(root: Path) -> Iterator[str]:
    """The lines to print."""
    table = runpy.run_path(str(HERE / "tests/rooms.py"))
    graph = without(import_graph(root), table["LAZY"])
    rooms = room_graph(graph)
    heights = floors(rooms)
    yield f"rooms    {len(rooms)}, with {len(graph)} modules"
    longest = max(floors(graph).values())
    yield f"floors   {max(heights.values())} of rooms, {longest} of modules: the longest chains of imports"
    for height in range(max(heights.values()), 0, -1):
        yield f"  {height:>2}     {', '.join(sorted(room for room in rooms if heights[room] == height))}"
    for label, found in (("rooms", circles(rooms)), ("modules", circles(graph))):
        yield f"circles  {len(found)} of {label}"
        yield from (f"         {', '.join(short(node) for node in circle)}" for circle in found)
    if unknown := rooms.keys() - table["ROOMS"]:
        yield f"arrows   not counted: {len(unknown)} rooms have no row in the table"
    else:
        arrows = sorted(upward_arrows(graph, table["ROOMS"], table["EVERYWHERE"]))
        yield f"arrows   {len(arrows)} that the table does not allow"
        yield from (f"         {importer} -> {imported}" for importer, imported in arrows)
    yield "deps     " + ", ".join(f"{stage} {count}" for stage, count in code_deps(root).items())


if __name__ == "__main__":
    print("\n".join(report(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)))
