"""`keras-backtrack report`: a page to explore, of one photo or of many."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from tqdm import tqdm

from .options import check_foil, network_options, question_options, walk_options

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation
    from ..models.networks import Network
    from ..pictures.page import PageEntry


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...|PARQUET")
@network_options
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="CLASS",
    help="Class to explain, name or number; give it several times to choose among them in the "
    "page. [predicted]",
)
@question_options
@walk_options
@click.option(
    "--out",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The HTML file.",
)
@click.option(
    "--most",
    default=200,
    show_default=True,
    type=click.IntRange(1),
    help="Pictures at most, of a folder or a Parquet file.",
)
@click.option("--title", help="Title of the page. [name of the photo, or of the folder or file]")
def report(
    photos: Sequence[str],
    targets: Sequence[str],
    versus: str | None,
    side: str | None,
    out: Path,
    most: int,
    title: str | None,
    **settings: Any,
) -> None:
    """Write a page to explore what a network sees in photos.

    One HTML file that opens in any browser, without a network: each PHOTO with important pixels,
    attention, saliency, boxes and grid to switch, sliders for them, and the way down through the
    network's layers. With --versus it has the foil, too, and why the first target and not it. Of
    several photos (or a folder of them) it is a gallery to search, sort and filter. Of a file that
    `keras-backtrack run` wrote (explanations.parquet) the network is not run again, so that there
    are no layers and nodes.
    """
    from ..pictures.page import page

    try:
        if any(Path(photo).suffix == ".parquet" for photo in photos):
            total, entries = _read(photos, most)
        else:
            total, entries = _explain(_photos_in(photos), most, targets, versus, side, **settings)
        _check_writable(out)
    except (ImportError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    found, failed = _collect(entries, min(total, most))
    if found:
        out.write_text(page(found, title or _title(photos, found)), encoding="utf-8")
        size = out.stat().st_size / 1e6
        click.echo(f"{len(found)} of {total} pictures are in {out} ({size:.1f} MB).")
    if total > most:
        click.echo(f"The first {most} were taken: --most takes more.", err=True)
    if failed:
        click.echo(f"{failed} pictures could not be shown.", err=True)
        raise SystemExit(2)


def _collect(
    entries: "Iterable[PageEntry | Exception]", count: int
) -> "tuple[list[PageEntry], int]":
    """What a page shows of each picture, and how many others there are, of which it tells."""
    found, failed = [], 0
    # On a terminal only, and where there is something to wait for.
    is_quiet = None if count > 1 else True
    for entry in tqdm(entries, total=count, unit=" pictures", disable=is_quiet):
        if isinstance(entry, Exception):
            failed += 1
            click.echo(entry, err=True)
        else:
            found.append(entry)
    return found, failed


def _check_writable(out: Path) -> None:
    """Before the work, not behind it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        is_new = not out.exists()
        out.open("ab").close()
    except OSError as error:
        raise type(error)(
            f"`--out` must be a file that can be written ({error.strerror}). "
            f"Received: {str(out)!r}."
        ) from None
    if is_new:
        out.unlink()


def _title(given: Sequence[str], entries: "Sequence[PageEntry]") -> str:
    from ..pictures.photos import as_text

    if len(entries) == 1:
        return entries[0].listed["name"]
    # A job's file has the same name as any other job's, its folder has not.
    path = Path(given[0]).resolve()
    own = path.parent if path.suffix == ".parquet" else path
    return as_text(own.name) if len(given) == 1 else f"{len(entries)} pictures"


def _read(files: Sequence[str], most: int) -> "tuple[int, Iterator[PageEntry | Exception]]":
    """How many pictures a job's file is about, and what a page shows of each."""
    from ..jobs.gallery import count_rows, entries_in

    if len(files) > 1:
        raise ValueError(
            f"A Parquet file makes a page by itself. Received: {', '.join(map(repr, files))}."
        )
    path = Path(files[0])
    return count_rows(path), entries_in(path, most)


def _explain(
    paths: Sequence[Path],
    most: int,
    targets: Sequence[str],
    versus: str | None,
    side: str | None,
    name: str,
    weights: str | None,
    preprocess: str | None,
    resize: str | None,
    allow_code: bool,
    **walk: Any,
) -> "tuple[int, Iterator[PageEntry | Exception]]":
    """How many photos there are, and what a page shows of each."""
    from ..explainer.explainer import BacktrackExplainer
    from ..models.networks import load_network

    network = load_network(name, weights, preprocess, resize, allow_code)
    layers = None
    if len(paths) == 1 and walk["method"] != "viterbi":
        # Of all paths every unit is a node: of one picture that is some hundred megabytes.
        layers = _all_layers(network.model)
    explainer = BacktrackExplainer(network.model, layers=layers, **walk)
    wanted = [network.class_index(target) for target in targets]
    foil = None
    if versus is not None:
        foil = network.class_index(versus)
        if wanted:
            check_foil(wanted[0], foil, versus)
    asked = partial(explainer.explain, labels=network.classes)
    return len(paths), _entries(paths[:most], network, asked, wanted, foil, side)


def _all_layers(model: Any) -> list[str]:
    from ..rules import read_model

    graph = read_model(model)
    return [graph.names[number] for call in graph.calls for number in call.outputs]


def _photos_in(given: Sequence[str]) -> list[Path]:
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


def _entries(
    paths: Sequence[Path],
    network: "Network",
    explain: Callable[..., "Explanation"],
    wanted: Sequence[int],
    foil: int | None,
    side: str | None,
) -> "Iterator[PageEntry | Exception]":
    """What a page shows of each photo, or what is wrong with it."""
    from ..pictures.page import Picture, entry
    from ..pictures.photos import as_text, read_photo

    # Rows of two classes of two could be one-hot.
    apart = [[one] for one in wanted] if len(network.classes) == 2 else [wanted]
    together = [np.array([some]) for some in apart] if wanted else [None]
    for path in paths:
        try:
            photo = read_photo(path)
            frame = network.frame(photo.shape[:2], network.size)
            x = network.preprocess(frame.cut(photo)[None])
            es = [explain(x, some, side=side) for some in together]
            if foil is not None:
                one = int(es[0].targets[0])
                check_foil(one, foil, network.classes[foil])
                if foil not in wanted:
                    es.append(explain(x, foil))
                es.append(explain(x, one, versus=foil, side=side))
            # One by one: explanations are large, what a page shows of them is not.
            yield entry(Picture(as_text(path.name), photo, frame, es, network.classes), len(paths))
        except (OSError, ValueError) as error:
            yield type(error)(f"{as_text(path)}: {error}")
