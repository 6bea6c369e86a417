"""`nerfpipe export`: images, depth, normals, points and meshes of a model, as files for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerfpipe.config.defaults import render_params
from nerfpipe.config.options import checked
from nerfpipe.export.options import CloudOptions, DepthOptions, MeshOptions, ViewOptions, check_output
from nerfpipe.project.paths import MODEL
from nerfpipe.runtime.errors import NerfpipeError, one_line_errors
from nerfpipe.runtime.terminal import say

if TYPE_CHECKING:
    from nerfpipe.export.views import LoadedField

EXPORTS = Path("exports")
ModelFile = Annotated[Path, typer.Argument(help="a field.safetensors from anywhere")]
CLOUD, MESH, DEPTH = CloudOptions(), MeshOptions(), DepthOptions()  # the defaults
View = Annotated[int | None, typer.Option(help="look from the train view with this number")]
Azimuth = Annotated[float | None, typer.Option(help="degrees around the scene, from x towards y")]
Elevation = Annotated[float | None, typer.Option(help="degrees above the horizon")]
Radius = Annotated[float | None, typer.Option(help="times the mean distance of the cameras")]
Size = Annotated[int, typer.Option(help="pixels of the longer side; 0: that of the scene's camera")]
Force = Annotated[bool, typer.Option("--force", help="replace existing files")]
Output = Annotated[Path, typer.Option(help="the file to write")]

app = typer.Typer(no_args_is_help=True, help="Write images, depth, normals, points or a mesh of a model file.")


@app.command()
def image(
    model: ModelFile = MODEL,
    output: Output = EXPORTS / "image.png",
    view: View = None,
    azimuth: Azimuth = None,
    elevation: Elevation = None,
    radius: Radius = None,
    size: Size = 0,
    force: Force = False,
) -> None:
    """One image, as PNG."""
    with one_line_errors():
        check_output(output, (".png",), force)
        options = checked(ViewOptions, view=view, azimuth=azimuth, elevation=elevation, radius=radius, size=size)
        with loaded(model) as field:
            from nerfpipe.export.images import export_image

            tell(export_image(field, options, output))


@app.command()
def depth(
    model: ModelFile = MODEL,
    output: Output = EXPORTS / "depth.png",
    kind: Annotated[str, typer.Option(help="z: along the camera's axis; ray: along each pixel's ray")] = DEPTH.kind,
    view: View = None,
    azimuth: Azimuth = None,
    elevation: Elevation = None,
    radius: Radius = None,
    size: Size = 0,
    force: Force = False,
) -> None:
    """Depth in the data's own units, as 16-bit PNG and .npy, with a .json that explains the numbers."""
    with one_line_errors():
        check_output(output, (".png",), force, beside=(".npy", ".json"))
        options = checked(ViewOptions, view=view, azimuth=azimuth, elevation=elevation, radius=radius, size=size)
        kinds = checked(DepthOptions, kind=kind)
        with loaded(model) as field:
            from nerfpipe.export.images import export_depth

            tell(export_depth(field, options, kinds, output))


@app.command()
def normals(
    model: ModelFile = MODEL,
    output: Output = EXPORTS / "normals.png",
    view: View = None,
    azimuth: Azimuth = None,
    elevation: Elevation = None,
    radius: Radius = None,
    size: Size = 0,
    force: Force = False,
) -> None:
    """Normals along the data's own axes, as PNG and .npy."""
    with one_line_errors():
        check_output(output, (".png",), force, beside=(".npy",))
        options = checked(ViewOptions, view=view, azimuth=azimuth, elevation=elevation, radius=radius, size=size)
        with loaded(model) as field:
            from nerfpipe.export.images import export_normals

            tell(export_normals(field, options, output))


@app.command()
def pointcloud(
    model: ModelFile = MODEL,
    output: Output = EXPORTS / "points.ply",
    points: Annotated[int, typer.Option(help="how many at most")] = CLOUD.points,
    opacity: Annotated[float, typer.Option(help="opacity from which a pixel becomes a point")] = CLOUD.opacity,
    force: Force = False,
) -> None:
    """Coloured points with normals, as seen by the train cameras, as PLY in the data's own units."""
    with one_line_errors():
        check_output(output, (".ply",), force)
        options = checked(CloudOptions, points=points, opacity=opacity)
        with loaded(model) as field:
            from nerfpipe.export.point_cloud import export_pointcloud

            tell(export_pointcloud(field, options, output))


@app.command()
def mesh(
    model: ModelFile = MODEL,
    output: Output = EXPORTS / "mesh.ply",
    density: Annotated[
        float | None, typer.Option(help="of the surface, per scene unit; by default chosen by the scene's size")
    ] = MESH.density,
    resolution: Annotated[int, typer.Option(help="cells along the longest side")] = MESH.resolution,
    pieces: Annotated[
        float, typer.Option(help="drop components with a smaller share of the largest one's faces; 1 keeps the largest")
    ] = MESH.pieces,
    seen: Annotated[
        bool, typer.Option("--seen", help="keep only what a train camera sees; the mesh is then open")
    ] = MESH.seen,
    force: Force = False,
) -> None:
    """A mesh with coloured vertices in the data's own units, as PLY or GLB."""
    with one_line_errors():
        check_output(output, (".ply", ".glb"), force)
        options = checked(MeshOptions, density=density, resolution=resolution, pieces=pieces, seen=seen)
        with loaded(model) as field:
            from nerfpipe.export.mesh import export_mesh

            tell(export_mesh(field, options, output))


@contextmanager
def loaded(model: Path) -> Iterator[LoadedField]:
    """The model of a file. Raises NerfpipeError for Ctrl-C, since unfinished files are not written."""
    from nerfpipe.export.views import LoadedField  # torch takes seconds to import

    try:
        yield LoadedField.load(model, render_params()[1])
    except KeyboardInterrupt:
        raise NerfpipeError("interrupted; no unfinished file was written") from None


def tell(lines: Iterator[str]) -> None:
    """Print the lines as they come."""
    for line in lines:
        say(line)
