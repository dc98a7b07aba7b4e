"""What `benchmarks truth` found, as tables in Markdown."""

from collections.abc import Sequence

_TITLES = {
    "faithful": (
        "Insertion and deletion",
        ["difference", "insertion", "deletion"],
        "Area under the predicted class's probability while the map's highest pixels appear on the "
        "blurred picture (insertion, high is good) or turn to the mean colour (deletion, low is "
        "good), and the difference.",
        True,
    ),
    "blurred": (
        "Blur",
        ["iou", "class_changed"],
        "IoU of the regions of the sharp and the blurred picture (Gaussian of 2 pixels of the "
        "network's input), and how often the network itself names another class.",
        True,
    ),
    "discriminating": (
        "Other classes",
        ["rank_correlation", "pearson"],
        "Correlation of the maps of the predicted class and of a class drawn at random. Low is "
        "good: the map depends on what is asked.",
        False,
    ),
    "wrong classes": (
        "Wrong classes",
        ["rank_correlation", "pearson", "empty"],
        "The same of two random classes that are not predicted, and the share of maps that are "
        "empty.",
        False,
    ),
    "grid": (
        "Grid pointing game",
        [f"{n} × {n}{of}" for n in (2, 3) for of in ("", ", smoothed", ", empty")],
        "Mosaics of photographs that the network is sure of (Böhle et al., CVPR 2021; Rao et al., "
        "CVPR 2022): the share of a cell's map that lies in the cell, raw and under the method's "
        "Gaussian, and the share of maps that are empty. Mosaics of each size:",
        True,
    ),
    "difull": (
        "DiFull",
        ["2 × 2", "2 × 2, smoothed", "2 × 2, empty"],
        "The same where each cell has a network to itself (Rao et al., CVPR 2022): a raw map that "
        "is not all in its cell is wrong. Mosaics:",
        True,
    ),
    "dipart": (
        "DiPart",
        ["2 × 2", "2 × 2, smoothed", "2 × 2, empty"],
        "The same where cells meet in the average of the last map only (Rao et al., CVPR 2022). "
        "Mosaics:",
        True,
    ),
}


def page(record: dict) -> str:
    """The tables of one network."""
    parts = [f"## {record['network']}\n"]
    rows = record["rows"]
    parts.append(_pointing(rows, record["counts"]["pointing"]))
    for key, (title, columns, text, descending) in _TITLES.items():
        some = {name: row[key] for name, row in rows.items() if key in row}
        if some:
            order = sorted(some, key=lambda n: some[n][columns[0]]["mean"], reverse=descending)
            count = record["counts"][key]
            counted = f"{count}." if text.endswith(":") else f"{count} pictures."
            parts.append(f"### {title}\n\n{text} {counted}\n")
            parts.append(
                _table(
                    ["method", *(c.replace("_", " ") for c in columns)],
                    [[name, *(_cell(some[name][c]) for c in columns)] for name in order],
                )
            )
    some = {name: row["randomised"] for name, row in rows.items() if "randomised" in row}
    if some:
        shares = list(next(iter(some.values())))
        parts.append(
            "### Randomised layers\n\nLikeness to the true map once this share of the layers with "
            "weights, from the output on, has shuffled weights: rank correlation of the raw maps · "
            "of the smoothed maps · SSIM of the smoothed maps. "
            f"{record['counts']['randomised']} pictures.\n"
        )
        parts.append(
            _table(
                ["method", *(f"{float(s):.0%}" for s in shares)],
                [
                    [
                        name,
                        *(
                            " · ".join(
                                f"{row[s][k]['mean']:.2f}" for k in ("raw", "smoothed", "ssim")
                            )
                            for s in shares
                        ),
                    ]
                    for name, row in some.items()
                ],
            )
        )
    errors = {name: row["error"] for name, row in rows.items() if "error" in row}
    for name, row in rows.items():
        errors |= {f"{name}, {kind}": e for kind, e in row.get("failed", {}).items()}
    if errors:
        parts.append("Did not run: " + "; ".join(f"{n}: {e}" for n, e in errors.items()) + "\n")
    return "\n".join(parts)


def _pointing(rows: dict, count: int) -> str:
    some = {name: row["pointing"] for name, row in rows.items() if "pointing" in row}
    order = sorted(some, key=lambda n: -some[n]["pointing"]["mean"])
    columns = ["pointing", "pointing_near", "iou"]
    return (
        "### Pointing game\n\nHow often the smoothed map's maximum lies in the mask, or within 3 % "
        "of the picture's longer side of it; beside it the regions' IoU. Cross-validated, "
        f"{count} pictures.\n\n"
    ) + _table(
        ["method", "hits", "near hits", "IoU"],
        [[name, *(_cell(some[name][c]) for c in columns)] for name in order],
    )


def _cell(found: dict) -> str:
    low, high = found["95"]
    return f"{found['mean']:.3f} [{low:.3f}, {high:.3f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
