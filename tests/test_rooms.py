"""The imports of nerfpipe/ against the table in rooms.py; no question about a part's class outside its own folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from rooms import BELOW_THE_FACES, DEEPER, DEPTH, EVERYWHERE, LAZY, ONLY_IN_KERNELS, PARTS, ROOMS

from nerfpipe.config.methods import METHODS
from nerfpipe.config.yaml_file import Section
from tools.rooms import (
    allowed,
    circles,
    floors,
    import_graph,
    imported_names,
    modules,
    report,
    room_of,
    short,
    upward_arrows,
    without,
)

T = TypeVar("T", str, tuple[str, str])
ROOT = Path(__file__).parents[1]
GRAPH = import_graph(ROOT)
TREES = {short(name): ast.parse(file.read_text(encoding="utf-8")) for name, file in modules(ROOT).items()}

# What still breaks a rule. These sets may only become smaller: remove an entry when its fault is gone.
KNOWN_ARROWS: set[tuple[str, str]] = set()
KNOWN_CIRCLES: set[tuple[str, str]] = set()  # arrows within a room without which there is no circle
KNOWN_ABSENT: set[str] = {"api"}  # rows of rooms that are not built yet
KNOWN_CLASSES: set[str] = set()
KNOWN_NAMES: set[str] = set()
KNOWN_PROBES: set[str] = set()


def hold(found: set[T], known: set[T], rule: str) -> None:
    """Fail for what is found and not known, and for what is known and no longer found."""
    assert not found - known, f"{rule}: {sorted(found - known)}"
    assert not known - found, f"remove from the known faults in test_rooms.py, they are gone: {sorted(known - found)}"


def test_the_table_runs_upward_and_names_rooms_that_have_a_row() -> None:
    rows = list(ROOMS)
    for index, room in enumerate(rows):
        assert set(ROOMS[room]) <= set(rows[:index]), f"{room} may import only rooms of earlier rows"
    assert set(EVERYWHERE) <= set(rows)


def test_the_table_is_the_one_in_the_docs() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \|.*\|([^|]*)\|$", text, flags=re.MULTILINE)
    documented = {room: tuple(filter(None, imports.strip().split(", "))) for room, imports in rows}
    assert documented == {room: ROOMS[room] for room in ROOMS if room in {*BELOW_THE_FACES, "kernels"}}


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    rooms = {room_of(module) for module in GRAPH}
    assert rooms <= set(ROOMS), "add to tests/rooms.py"
    hold(
        {row for row in ROOMS if row not in rooms and f"nerfpipe.{row}" not in GRAPH},
        KNOWN_ABSENT,
        "rows without a room",
    )


def test_no_import_points_upward() -> None:
    hold(upward_arrows(without(GRAPH, LAZY), ROOMS, EVERYWHERE), KNOWN_ARROWS, "tests/rooms.py does not allow")


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = without(GRAPH, LAZY | KNOWN_ARROWS)
    assert circles(without(graph, KNOWN_CIRCLES)) == []
    for arrow in KNOWN_CIRCLES:
        assert circles(without(graph, KNOWN_CIRCLES - {arrow})), f"no circle without {arrow} any more: remove it"


def test_folders_are_at_most_two_levels_deep() -> None:
    for file in modules(ROOT).values():
        folders = file.relative_to(ROOT).parts[1:-1]
        assert len(folders) <= DEEPER.get(folders[0] if folders else "", DEPTH), file


def test_libraries_of_the_kernels_are_imported_nowhere_else() -> None:
    for name, tree in TREES.items():
        if room_of(name) != "kernels":
            found = {imported for imported in imported_names(tree) if imported.split(".")[0] in ONLY_IN_KERNELS}
            assert not found, f"{name} imports {found}"


def test_a_backend_is_imported_when_it_is_first_used() -> None:
    for importer, room in LAZY:
        for node in outside_functions(TREES[importer]):
            assert not {name for name in imported_names(node) if room_of(name) == room}, (
                f"{importer}: only in a function"
            )


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The import statements that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from outside_functions(child)


# Classes of parts


def test_a_part_is_asked_for_its_class_in_its_own_folder_alone() -> None:
    found = set()
    for name, tree in TREES.items():
        for text, cls in class_checks(tree):
            part = part_of(cls)
            if part is not None and room_of(name) not in PARTS[part]:
                found.add(f"{name}: {text}")
    hold(found, KNOWN_CLASSES, "give the part a method with a quiet default instead")


def test_methods_are_compared_by_name_in_their_own_folders_alone() -> None:
    homes = PARTS["config"]
    found = {
        f"{name}: {text}" for name, tree in TREES.items() if room_of(name) not in homes for text in name_checks(tree)
    }
    hold(found, KNOWN_NAMES, "ask the method, not its name")


def test_a_space_is_asked_for_its_kind_in_its_own_folder_alone() -> None:
    found = {f"{name}: {text}" for name, tree in TREES.items() if room_of(name) != "geometry" for text in kinds(tree)}
    assert not found, f"{found}: give the space a method instead"
    assert list(kinds(ast.parse('scene.space.kind == "forward"'))) == ["scene.space.kind == 'forward'"]
    assert list(kinds(ast.parse("match space.kind:\n    case 'forward': pass"))) == ["match space.kind:"]


def test_parts_are_not_probed_for_attributes() -> None:
    found = {f"{name}: {text}" for name, tree in TREES.items() for text in probes(tree)}
    hold(found, KNOWN_PROBES, "give the part a method with a quiet default instead")


def part_of(cls: str) -> str | None:
    """The row of PARTS that a class, named in full, is defined in."""
    module, _, name = short(cls).rpartition(".")
    if room_of(module) == "config":
        return "config" if name in settings_of_methods() else None
    return next((part for part in PARTS if module == part or module.startswith(f"{part}.")), None)


def settings_of_methods() -> set[str]:
    """The names of the classes that hold a method's settings: its section, the sections in it, and their bases."""
    found: set[str] = set()
    waiting: list[type] = list(METHODS.values())
    while waiting:
        cls = waiting.pop()
        if issubclass(cls, Section) and cls is not Section and cls.__name__ not in found:
            found.add(cls.__name__)
            annotations = [field.annotation for field in cls.model_fields.values()]
            waiting += [*cls.__bases__, *(annotation for annotation in annotations if isinstance(annotation, type))]
    return found


def kinds(tree: ast.AST) -> Iterator[str]:
    """Comparisons of `space.kind`, and `match` of it."""
    for node in ast.walk(tree):
        compared = node.left if isinstance(node, ast.Compare) else node.subject if isinstance(node, ast.Match) else None
        match compared:
            case ast.Attribute(attr="kind", value=ast.Name(id="space") | ast.Attribute(attr="space")):
                yield ast.unparse(node).splitlines()[0]


def class_checks(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Questions for an imported class: the text of the question, and the class named in full."""
    names = full_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]):
                asked = [classes]
            case ast.Compare(left=ast.Call(func=ast.Name(id="type")), comparators=asked):
                pass
            case ast.MatchClass(cls=cls):
                asked = [cls]
            case _:
                continue
        for cls in (cls for expression in asked for cls in alternatives(expression)):
            first, dot, rest = ast.unparse(cls).partition(".")
            if first in names:
                yield ast.unparse(node).splitlines()[0], names[first] + dot + rest


def alternatives(expression: ast.expr) -> Iterator[ast.expr]:
    """The classes of `A`, `A | B` and `(A, B)`."""
    match expression:
        case ast.Tuple(elts=elements):
            for element in elements:
                yield from alternatives(element)
        case ast.BinOp(left=left, right=right):
            yield from alternatives(left)
            yield from alternatives(right)
        case _:
            yield expression


def full_names(tree: ast.AST) -> dict[str, str]:
    """The full dotted name of each name that is imported."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
            found |= {name: name for name in (alias.name.split(".")[0] for alias in node.names if not alias.asname)}
    return found


def name_checks(tree: ast.AST) -> Iterator[str]:
    """Comparisons with a method's name: ==, in, case, startswith and endswith."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=[given, *_]):
                compared: list[ast.expr] = [given]
            case ast.Compare(left=left, comparators=right):
                compared = [left, *right]
            case ast.MatchValue(value=value):
                compared = [value]
            case _:
                continue
        constants = [each for part in compared for each in ast.walk(part) if isinstance(each, ast.Constant)]
        if any(each.value in METHODS for each in constants):
            yield ast.unparse(node)


def probes(tree: ast.AST) -> Iterator[str]:
    """hasattr of anything but a module or a caught exception."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(id=name), _]) if name in caught | set(
                full_names(tree)
            ):
                pass
            case ast.Call(func=ast.Name(id="hasattr")):
                yield ast.unparse(node)


# The rules themselves, on small examples


def test_rows_reach_what_their_rooms_may_import() -> None:
    rows = allowed({"ground": (), "a": (), "b": ("a",), "c": ("b",), "c.d": ("a", "c")}, ("ground",))
    assert rows["c"] == {"c", "b", "a", "ground"}
    assert rows["c.d"] == {"c", "b", "a", "ground"}
    assert rows["a"] == {"a", "ground"}


def test_an_arrow_that_points_upward_is_found() -> None:
    graph = {"nerfpipe.a.x": {"nerfpipe.b.y"}, "nerfpipe.b.y": {"nerfpipe.a.x"}}
    assert upward_arrows(graph, {"a": (), "b": ("a",)}, ()) == {("a.x", "b.y")}
    assert without(graph, {("a.x", "b")}) == {"nerfpipe.a.x": set(), "nerfpipe.b.y": {"nerfpipe.a.x"}}


def test_circles_and_floors() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(graph) == [["b", "c"]]
    assert floors(graph) == {"d": 1, "b": 2, "c": 2, "a": 3}


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("from nerfpipe.fields.ngp import NgpField\nisinstance(x, NgpField)", ["fields"]),
        ("from nerfpipe.fields import ngp\nisinstance(x, (int, ngp.NgpField))", ["fields"]),
        ("from nerfpipe.samplers.occupancy import Occupancy as Grid\nisinstance(x, int | Grid)", ["samplers"]),
        ("from nerfpipe.config.methods import NgpTrainParams\nmatch x:\n    case NgpTrainParams(): pass", ["config"]),
        ("from nerfpipe.geometry.space import Space\ntype(x) is Space", ["geometry.space"]),
        ("from nerfpipe.config.params import RuntimeParams\nisinstance(x, RuntimeParams)", [None]),
        ("isinstance(x, str)", []),
    ],
)
def test_questions_for_classes_are_found(code: str, asked: list[str | None]) -> None:
    assert [part_of(cls) for _, cls in class_checks(ast.parse(code))] == asked


def test_names_of_methods_and_probes_are_found() -> None:
    code = 'import os\nx.startswith("ngp")\nx == "tiny"\nx in ("nerf", 1)\nx == "other"\nhasattr(x.field, "density")\n'
    tree = ast.parse(code + 'hasattr(os, "getuid")\ntry: pass\nexcept Exception as error: hasattr(error, "message")')
    assert set(name_checks(tree)) == {"x == 'tiny'", "x in ('nerf', 1)", "x.startswith('ngp')"}
    assert list(probes(tree)) == ["hasattr(x.field, 'density')"]


def test_imports_inside_functions_and_by_name_are_found() -> None:
    code = 'import a.b\ndef f():\n    from c import d, e\n    importlib.import_module("g.h")'
    assert set(imported_names(ast.parse(code))) == {"a.b", "c.d", "c.e", "g.h"}


def test_the_report_counts_rooms_floors_circles_arrows_and_deps() -> None:
    lines = list(report(ROOT))
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        *("rooms", "floors", "circles", "circles", "arrows", "deps")
    ]
    assert lines[0].endswith(f"with {len(GRAPH)} modules")
