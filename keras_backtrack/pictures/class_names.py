"""Names of classes, and what decisions about them are called."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import arguments


def find_class(name: str, labels: Sequence[str]) -> int:
    """The class of a name, in any case; `"tabby, tabby cat"` has two.

    Raises:
        ValueError: If there is none, or several.
    """
    by_name: dict[str, list[int]] = {}
    for number, names in enumerate(labels):
        for each in {names, *names.split(", ")}:
            by_name.setdefault(_plain(each), []).append(number)
    found = by_name.get(_plain(name), [])
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"Several classes have this name: {found}. Received: {name!r}.")
    near = difflib.get_close_matches(_plain(name), by_name, n=4)
    raise ValueError(
        "There is no class of this name"
        + (f"; near it are {near}" if near else "")
        + f". Received: {name!r}."
    )


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().casefold()


def short_name(target: int, labels: Sequence[str] | None, meaning: str = "class") -> str:
    """What an explained unit is called.

    Args:
        target: The class, or -1 for a mask of units.
        labels: Names of the classes, or None.
        meaning: What the target is: a `"class"`, a `"side"` of a single unit that says no or yes,
            or a `"unit"` of an output with several axes.

    Returns:
        The first of the class's names, such as "tabby"; without names "class 281".
    """
    if target < 0:
        return "a mask of units"
    if meaning == "unit":
        return f"unit {target}"
    return f"class {target}" if labels is None else labels[target].split(", ")[0]


def label_of(target_name: str, versus_name: str | None, is_low: bool = False) -> str:
    """What a decision is called: its target, its target rather than its foil, or why it is low."""
    if versus_name is not None:
        return f"{target_name} rather than {versus_name}"
    return f"{target_name}, why low" if is_low else target_name


def title_of(label: str, score: float, logits: Sequence[float] | None) -> str:
    """What stands over a decision's figure.

    Args:
        label: What the decision is called, as `label_of` says.
        score: The output at the target.
        logits: Of target and foil; None where there is no foil.

    Returns:
        "tabby  0.93", or "tabby rather than lynx" and on a second line "logits 7.1 and 4.2".
    """
    if logits is None:
        return f"{label}  {score:.3g}"
    return "{}\nlogits {:.3g} and {:.3g}".format(label, *logits)


def lead_of(target_name: str, versus_name: str | None, target: float, versus: float) -> str:
    """What stands over the difference of two classes: which leads, and by how much of a logit.

    Args:
        target_name, versus_name: What the classes are called.
        target, versus: Their logits.
    """
    leader, lead = target_name if target >= versus else versus_name, abs(target - versus)
    return f"{target_name} (red) - {versus_name} (blue)\n{leader} leads by {lead:.3g}"


def numbered(targets: Any, labels: Sequence[str] | None) -> Any:
    """Targets with the numbers of classes in place of their names.

    Args:
        targets: As for `BacktrackExplainer.explain`.
        labels: Names of the classes, or None.

    Raises:
        TypeError: If there are names and no labels.
        ValueError: If there is no class of a name, or several.
    """
    if isinstance(targets, str):
        if labels is None:
            raise TypeError(
                "Targets by name need the names of the classes: explain(x, targets, labels=[...]). "
                f"Received: {targets!r}."
            )
        return find_class(str(targets), labels)
    if isinstance(targets, (list, tuple)):
        found = [numbered(target, labels) for target in targets]
        return tuple(found) if isinstance(targets, tuple) else found
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "OUT":
        return numbered(targets.tolist(), labels)
    return targets


def labels_of_one_unit(is_yes_or_no: bool) -> tuple[str, ...]:
    """What the answers of a network with one unit are called where nobody has named them."""
    return ("no", "yes") if is_yes_or_no else ("output",)


def check_labels(labels: Any, shape: tuple[int, ...] | None = None) -> tuple[str, ...]:
    """Makes a tuple of what a user gave as names of the classes.

    Args:
        labels: One name for each class.
        shape: Of the output, batch axis left out; None where it does not matter.

    Raises:
        TypeError: If they are no names.
        ValueError: If there are too many or too few.
    """
    labels = arguments.texts("labels", labels, "names, one for each class")
    if shape is not None and shape != (len(labels),):
        raise ValueError(
            "`labels` must be the names of all classes, one for each unit of the output. "
            f"Received: {len(labels)} names for an output of shape {shape}."
        )
    return labels
