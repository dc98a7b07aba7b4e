"""Table I of the paper for any folder of pairs: regions of many methods on the same network."""

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from keras_backtrack.pictures.refine import Surfaces

from .. import results as results_file
from .contenders import Contender, DoesNotApply
from .keeping import Keeper
from .masked_photos import Pairs
from .scoring import Refinement, Scored, folds_of, interval, score
from .sheets import contact_sheet
from .subject import Subject

COLUMNS = {
    "iou": "IoU",
    "f1": "F1",
    "f_beta": "F_β",
    "precision": "precision",
    "recall": "recall",
    "pixel_accuracy": "accuracy",
    "mae": "MAE",
    "pointing": "pointing",
    "pointing_near": "pointing, near",
    "mass_inside": "mass inside",
    "sparsity": "sparsity",
}
_WITH_INTERVAL = ("iou", "f1", "pointing")


class Results(NamedTuple):
    """What a run came to.

    Attributes:
        scored: By method, those that ran.
        seconds: By method, for all pictures, first call included.
        errors: By method, those that did not run: why.
    """

    scored: dict[str, Scored]
    seconds: dict[str, float]
    errors: dict[str, str]

    @property
    def ranking(self) -> list[str]:
        """The methods that ran, the best mean IoU first."""
        return sorted(self.scored, key=lambda name: -self.scored[name].values["iou"].mean())


def measure(
    subject: Subject,
    pairs: Pairs,
    methods: Mapping[str, Contender],
    keeper: Keeper,
    seed: int = 0,
    say: Callable[[str], None] = print,
    refine: str | None = None,
) -> Results:
    """Makes every method's maps of the classes the network predicts, and scores them.

    Args:
        subject: The network.
        pairs: The pictures and masks.
        methods: By name.
        keeper: Keeps the maps.
        seed: Of the folds.
        say: Told of each method that is done.
        refine: How to refine every method's maps at the pictures' edges, if at all.
    """
    x = subject.prepared(pairs.photos)
    targets = subject.predict(x).argmax(axis=1)
    folds = folds_of(len(x), seed)
    refinement = None
    if refine is not None:
        refinement = Refinement(refine, [Surfaces(photo) for photo in pairs.photos])
    results = Results({}, {}, {})
    for name, contender in methods.items():
        begin = time.perf_counter()
        try:
            maps, seconds = keeper.maps(name, "pairs", x, targets, _lazily(contender, subject))
        except Exception as error:  # Whatever stands in the way is the table's entry.
            results.errors[name] = describe(error)
            say(f"{name}: {results.errors[name]}")
            continue
        results.seconds[name] = seconds
        results.scored[name] = score(maps, pairs.masks, folds, refinement)
        mean = results.scored[name].values["iou"].mean()
        say(f"{name}: IoU {mean:.3f}, {time.perf_counter() - begin:.0f} s")
    return results


def _lazily(contender: Contender, subject: Subject):
    """The method, made when maps have to be made."""
    return lambda x, targets: contender(subject)(x, targets)


def describe(error: Exception) -> str:
    """An error as a table's entry."""
    if isinstance(error, DoesNotApply):
        return f"does not apply: it {error}"
    return f"{type(error).__name__}: {error}".split("\n")[0][:200]


def rows(results: Results) -> list[dict]:
    """A row for each method: means, 95 % intervals, distance to the best, settings of the folds."""
    ranking = results.ranking
    found = []
    for name in ranking:
        scored = results.scored[name]
        row = {"method": name}
        for metric, values in scored.values.items():
            row[metric] = float(values.mean())
            row[f"{metric}_95"] = interval(values)
        behind = results.scored[ranking[0]].values["iou"] - scored.values["iou"]
        row |= {
            "iou_pooled": scored.pooled_iou,
            "iou_behind_the_best": float(behind.mean()),
            "iou_behind_the_best_95": interval(behind),
            "seconds": round(results.seconds[name], 2),
            "folds": scored.settings,
        }
        found.append(row)
    return found + [{"method": name, "error": text} for name, text in results.errors.items()]


def table(rows: Sequence[dict]) -> str:
    """The rows as a Markdown table; 95 % bootstrap intervals in brackets."""
    head = ["method", *COLUMNS.values(), "IoU, pooled", "IoU behind the best"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in rows:
        if "error" in row:
            lines.append(" | ".join([row["method"], row["error"], *[""] * (len(head) - 2)]))
            continue
        cells = [
            _with_interval(row, key) if key in _WITH_INTERVAL else f"{row[key]:.3f}"
            for key in COLUMNS
        ]
        behind = _with_interval(row, "iou_behind_the_best")
        lines.append(" | ".join([row["method"], *cells, f"{row['iou_pooled']:.3f}", behind]))
    return "".join(f"| {line} |\n" for line in lines)


def _with_interval(row: dict, key: str) -> str:
    low, high = row[f"{key}_95"]
    return f"{row[key]:.3f} [{low:.3f}, {high:.3f}]"


def sheet(path: Path, pairs: Pairs, results: Results, each: int = 3) -> None:
    """Draws the pictures that the best method did best, middling and worst on."""
    ranking = results.ranking
    order = results.scored[ranking[0]].values["iou"].argsort()[::-1]
    middle = max((len(order) - each) // 2, 0)
    shown = {"best": order[:each], "median": order[middle : middle + each], "worst": order[-each:]}
    picked = [i for places in shown.values() for i in places]
    titles = [f"{kind}: {pairs.names[i]}" for kind, places in shown.items() for i in places]
    lines = []
    for name in ranking:
        scored = results.scored[name]
        captions = [f"IoU {scored.values['iou'][i]:.2f}" for i in picked]
        lines.append((name, scored.smoothed[picked], scored.regions[picked], captions))
    contact_sheet(path, titles, pairs.photos[picked], pairs.masks[picked], lines)


def write(record: dict, pairs: Pairs, results: Results, out: Path) -> None:
    """Writes table.md, table.csv, pictures.csv (each picture's scores) and results.json."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(table(record["rows"]), encoding="utf-8")
    results_file.write(record, out / "results.json")
    with (out / "table.csv").open("w", newline="", encoding="utf-8") as file:
        spread = [*COLUMNS, "iou_behind_the_best"]
        fields = [
            "method",
            *spread,
            "iou_pooled",
            *(f"{n}_{end}" for n in spread for end in ("low", "high")),
        ]
        writer = csv.DictWriter(file, [*fields, "seconds", "error"], extrasaction="ignore")
        writer.writeheader()
        for row in record["rows"]:
            ends = {
                f"{n}_{end}": row[f"{n}_95"][i]
                for n in spread
                if f"{n}_95" in row
                for i, end in enumerate(("low", "high"))
            }
            writer.writerow(row | ends)
    with (out / "pictures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "method", *COLUMNS])
        for name, scored in results.scored.items():
            for i, picture in enumerate(pairs.names):
                values = [f"{scored.values[metric][i]:.4f}" for metric in COLUMNS]
                writer.writerow([picture, name, *values])
