"""`keras-backtrack explain`: figures and numbers of a few photos."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..pictures.class_names import short_name
from .options import network_options, walk_options


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@network_options
@click.option("--target", metavar="CLASS", help="Class to explain, name or number. [predicted]")
@click.option(
    "--versus",
    metavar="CLASS",
    help="Class to tell the target from: why the one and not the other. Writes a second figure, "
    "the pixels of both classes and of their difference.",
)
@walk_options()
@click.option(
    "--out",
    default="out",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the figure (PNG) and the numbers (JSON) of each photo.",
)
def explain(
    photos,
    name,
    weights,
    target,
    versus,
    preprocess,
    resize,
    method,
    top_n,
    channels,
    positions,
    out,
    allow_code,
) -> None:
    """Explain what a network sees in photos.

    For each PHOTO it prints the predicted classes and writes a figure (photo, important pixels,
    attention, salient region, boxes) and a JSON file with the pixels and boxes in the photo's own
    coordinates.
    """
    # These import TensorFlow, which takes seconds that --help need not wait for.
    from ..explainer.explainer import BacktrackExplainer
    from ..models.networks import load_network

    try:
        network = load_network(name, weights, preprocess, resize, allow_code)
        wanted = None if target is None else network.class_index(target)
        if versus is not None:
            wanted = (wanted, network.class_index(versus))
            if wanted[0] == wanted[1]:
                raise ValueError(f"The target and --versus are one class. Received: {versus!r}.")
        explainer = BacktrackExplainer(network.model, top_n, channels, positions, method=method)
        out.mkdir(parents=True, exist_ok=True)
    except (ImportError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    failed = 0
    for photo, stem in zip(photos, _unique_stems(photos), strict=True):
        try:
            _explain_photo(photo, out / stem, network, explainer, wanted)
        except (OSError, ValueError) as error:
            failed += 1
            click.echo(f"{photo}: {error}", err=True)
    if failed:
        click.echo(f"{failed} of {len(photos)} photos could not be explained.", err=True)
        raise SystemExit(2)


def _unique_stems(photos) -> list[str]:
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


def _explain_photo(photo: str, out: Path, network, explainer, target: Any) -> None:
    from ..explanation.on_photo import photo_row
    from ..pictures import figures
    from ..pictures.photos import read_photo

    picture = read_photo(photo)
    frame = network.frame(picture.shape[:2], network.size)
    x = network.preprocess(frame.cut(picture)[None])
    e = explainer.explain(x, target, labels=network.classes)
    predictions = _top_classes(np.asarray(network.model(x, training=False))[0], network.classes)
    label = short_name(int(e.targets[0]), network.classes)
    title = f"{label}  {e.scores[0]:.1%}" if e.versus[0] < 0 else e.titles[0]
    row = photo_row(picture, frame, e, title)
    # `with_suffix` would take "photo.2" apart.
    Path(f"{out}.png").write_bytes(figures.png(figures.figure([row])))
    files, pair = f"{out}.png and {out}.json", {}
    if e.versus[0] >= 0:
        other = short_name(int(e.versus[0]), network.classes)
        pair = {"versus": int(e.versus[0]), "versus_name": other, "logits": e.logits[0].tolist()}
        sets = [
            figures.Pixels(each.titles[0], *frame.in_photo(each.pixels[0], each.mass[0]))
            for each in (*e.sides, e)
        ]
        compared = figures.comparison([picture], [sets])
        Path(f"{out}-versus.png").write_bytes(figures.png(compared))
        label, files = f"{label} rather than {other}", f"{out}-versus.png, {files}"
    record = {
        "photo": str(photo),
        "height": picture.shape[0],
        "width": picture.shape[1],
        "predictions": predictions,
        "target": int(e.targets[0]),
        "target_name": short_name(int(e.targets[0]), network.classes),
        "score": float(e.scores[0]),
        **pair,
        "lost": float(e.lost[0]),
        "seen": [round(edge, 2) for edge in frame.part],
        "pixels": row.points.tolist(),
        "mass": [round(float(m), 7) for m in row.mass],
        "boxes": row.boxes.tolist(),
    }
    Path(f"{out}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{photo}")
    for prediction in predictions:
        click.echo(f"  {prediction['probability']:7.2%}  {prediction['name']}")
    click.echo(f"  {len(row.points)} important pixels for {label!r}, see {files}")


def _top_classes(output: np.ndarray, classes: tuple[str, ...]) -> list[dict]:
    """The five best classes; the output may be probabilities or logits."""
    output = output.astype(np.float64)
    if output.min() < 0 or abs(output.sum() - 1) > 1e-3:
        output = np.exp(output - output.max())
        output /= output.sum()
    best = np.argsort(-output, kind="stable")[:5]
    return [
        {"class": int(i), "name": short_name(int(i), classes), "probability": float(output[i])}
        for i in best
    ]
