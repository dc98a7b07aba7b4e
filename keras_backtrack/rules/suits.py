"""What our own rules take for granted about the settings of layers and operations."""

from typing import Any

from ..graph.compat import keras, operation_name

_FREE = ("area", "bilinear", "nearest")


def unsuited(layer: Any) -> str:
    """What a rule of ours does not know about a layer, so that it is looked into; or nothing."""
    operation = operation_name(layer)
    if operation is not None:
        equation = getattr(layer, "subscripts", "") if operation == "einsum" else ""
        is_plain = "..." not in equation and "->" in equation and equation.count(",") < 2
        return "" if not equation or is_plain else f"its equation is {equation!r}"
    if getattr(layer, "interpolation", "nearest") not in _FREE:
        return f"interpolation={layer.interpolation!r} weighs some neighbours negatively"
    if any(getattr(layer, name, False) for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio")):
        return "cuts or pads to keep the picture's proportions"
    mode = getattr(layer, "quantization_mode", None)
    known = ("float8", "int4", "int8") if isinstance(layer, keras.layers.Dense) else ("float8",)
    if mode is not None and mode not in known and not isinstance(layer, keras.layers.Embedding):
        return f"how its weights are quantised, {mode!r}, is not known"
    return ""
