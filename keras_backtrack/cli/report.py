"""`keras-backtrack report`: a page to explore, of one photo or of many."""

from pathlib import Path

import click
import numpy as np

from .options import network_options, walk_options


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@network_options
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="CLASS",
    help="Class to explain, name or number; give it several times to choose among them in the "
    "page. [predicted]",
)
@walk_options
@click.option(
    "--out",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The HTML file.",
)
@click.option("--title", help="Title of the page. [names of the network and the photo]")
def report(
    photos,
    name,
    weights,
    targets,
    preprocess,
    resize,
    method,
    top_n,
    channels,
    positions,
    out,
    title,
    allow_code,
) -> None:
    """Write a page to explore what a network sees in photos.

    One HTML file that opens in any browser, without a network: each PHOTO with important pixels,
    attention, saliency, boxes and grid to switch, sliders for them, and the way down through the
    network's layers. Of several photos (or a folder of them) it is a gallery to search, sort and
    filter.
    """
    from ..explainer import BacktrackExplainer
    from ..models import load_network
    from ..report import page, shown

    try:
        paths = _photos_in(photos)
        network = load_network(name, weights, preprocess, resize, allow_code)
        wanted = [network.class_index(target) for target in targets]
        explainer = BacktrackExplainer(network.model, top_n, channels, positions, method=method)
        out.parent.mkdir(parents=True, exist_ok=True)
    except (ImportError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    pictures, failed = [], 0
    for path in paths:
        try:
            # One by one: explanations are large, what a page shows of them is not.
            pictures.append(shown(_explain(path, network, explainer, wanted), len(paths)))
        except (OSError, ValueError) as error:
            failed += 1
            click.echo(f"{path}: {error}", err=True)
    if pictures:
        what = paths[0].name if len(paths) == 1 else f"{len(paths)} photos"
        out.write_text(page(pictures, title or f"{name}: {what}"), encoding="utf-8")
        size = out.stat().st_size / 1e6
        click.echo(f"{len(pictures)} of {len(paths)} photos are in {out} ({size:.1f} MB).")
    if failed:
        click.echo(f"{failed} of {len(paths)} photos could not be explained.", err=True)
        raise SystemExit(2)


def _photos_in(given) -> list[Path]:
    """The files given, and all pictures in the folders given."""
    from PIL import Image

    found = []
    for path in map(Path, given):
        if not path.is_dir():
            found.append(path)
            continue
        endings = Image.registered_extensions()
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in endings and p.is_file())
        if not inside:
            raise ValueError(f"The folder must hold pictures. Received: {str(path)!r}.")
        found.extend(inside)
    return found


def _explain(path: Path, network, explainer, wanted: list[int]):
    from ..photos import read_photo
    from ..report import Picture

    photo = read_photo(path)
    frame = network.frame(photo.shape[:2], network.size)
    x = network.preprocess(frame.cut(photo)[None])
    e = explainer.explain(x, np.array([wanted]) if wanted else None)
    return Picture(path.name, photo, frame, e, network.classes)
