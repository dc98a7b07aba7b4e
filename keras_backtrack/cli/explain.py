"""`keras-backtrack explain`: figures and numbers of a few photos."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..pictures.class_names import lead_of, short_name
from .options import check_foil, network_options, question_options, walk_options

if TYPE_CHECKING:
    from ..explainer.explainer import BacktrackExplainer
    from ..explanation.decisions import Decision
    from ..explanation.explanation import Explanation
    from ..models.networks import Network


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@network_options
@click.option("--target", metavar="CLASS", help="Class to explain, name or number. [predicted]")
@question_options
@walk_options
@click.option(
    "--out",
    default="out",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the figure (PNG) and the numbers (JSON) of each photo.",
)
def explain(
    photos: Sequence[str],
    target: str | None,
    versus: str | None,
    side: str | None,
    out: Path,
    name: str,
    weights: str | None,
    preprocess: str | None,
    resize: str | None,
    allow_code: bool,
    **walk: Any,
) -> None:
    """Explain what a network sees in photos.

    For each PHOTO it prints the predicted classes and writes a figure (photo, important pixels,
    attention, salient region, boxes) and a JSON file with the pixels and boxes in the photo's own
    coordinates. With --versus there is a second figure, the pixels of both classes and of their
    difference.
    """
    # These import TensorFlow, which takes seconds that --help need not wait for.
    from ..explainer.explainer import BacktrackExplainer
    from ..models.networks import load_network
    from ..pictures.photos import as_text

    try:
        network = load_network(name, weights, preprocess, resize, allow_code)
        wanted = None if target is None else network.class_index(target)
        foil = None if versus is None else network.class_index(versus)
        if foil is not None:
            check_foil(wanted, foil, str(versus))
        asked = {"targets": wanted, "versus": foil, "side": side}
        explainer = BacktrackExplainer(network.model, **walk)
        out.mkdir(parents=True, exist_ok=True)
    except (ImportError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    failed = 0
    for photo, stem in zip(photos, _unique_stems(photos), strict=True):
        try:
            _explain_photo(photo, out / stem, network, explainer, asked)
        except (OSError, ValueError) as error:
            failed += 1
            click.echo(f"{as_text(photo)}: {error}", err=True)
    if failed:
        click.echo(f"{failed} of {len(photos)} photos could not be explained.", err=True)
        raise SystemExit(2)


def _unique_stems(photos: Sequence[str]) -> list[str]:
    """Names for the output files; photos of the same name in different folders get numbers."""
    stems, taken = [], set()
    for photo in photos:
        stem, number = Path(photo).stem, 1
        while stem in taken:
            number += 1
            stem = f"{Path(photo).stem}-{number}"
        taken.add(stem)
        stems.append(stem)
    return stems


def _explain_photo(
    photo: str, out: Path, network: "Network", explainer: "BacktrackExplainer", asked: Any
) -> None:
    from ..explanation.on_photo import photo_row
    from ..pictures import figures
    from ..pictures.photos import as_text, read_photo

    picture = read_photo(photo)
    frame = network.frame(picture.shape[:2], network.size)
    x = network.preprocess(frame.cut(picture)[None])
    e = explainer.explain(x, **asked, labels=network.classes)

    def drawn(e: "Explanation") -> tuple["Decision", figures.Row]:
        [decision] = e.decisions(frames=[frame])
        return decision, photo_row(picture, frame, decision, e.attention()[0], e.method)

    decision, row = drawn(e)
    # `with_suffix` would take "photo.2" apart.
    Path(f"{out}.png").write_bytes(figures.png(figures.figure([row])))
    files = f"{out}.png and {out}.json"
    if decision.logits is not None:
        (_, one), (_, other) = map(drawn, e.sides)
        lead = lead_of(decision.target_name, decision.versus_name, *decision.logits)
        attention, titles = (one.attention, other.attention), (one.title, other.title)
        pixels = row.points, row.mass
        pair = figures.Pair(row.image, attention, *pixels, (*titles, lead, row.title))
        Path(f"{out}-versus.png").write_bytes(figures.png(figures.comparison([pair])))
        files = f"{out}-versus.png, {files}"
    predictions = _predictions(np.asarray(network.model(x, training=False))[0], network)
    record = {
        "photo": str(photo),
        "height": picture.shape[0],
        "width": picture.shape[1],
        "seen": list(frame.part),
        "input_height": frame.network[0],
        "input_width": frame.network[1],
        "predictions": predictions,
        **decision.record(),
    }
    Path(f"{out}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    click.echo(as_text(photo))
    for prediction in predictions:
        share = prediction.get("probability")
        said = f"{prediction['value']:8.4g}" if share is None else f"{share:8.2%}"
        click.echo(f"{said}  {prediction['name']}")
    click.echo(
        f"  {len(decision.pixels)} important pixels for {decision.label!r}, see {as_text(files)}"
    )


def _predictions(output: np.ndarray, network: "Network") -> list[dict]:
    """The five best classes; the output may be probabilities or logits, or a single number."""
    output, names = output.astype(np.float64), network.classes
    if len(output) < len(names):  # One unit for no and yes.
        output = np.concatenate([1 - output, output])
    elif len(output) == 1:
        return [{"class": 0, "name": names[0], "value": float(output[0])}]
    elif output.min() < 0 or abs(output.sum() - 1) > 1e-3:
        output = np.exp(output - output.max())
        output /= output.sum()
    best = np.argsort(-output, kind="stable")[:5]
    return [
        {"class": int(i), "name": short_name(int(i), names), "probability": float(output[i])}
        for i in best
    ]
