"""Products summed over axes that two tensors have in common, as plain loops."""

from itertools import product

import numpy as np

from .plain_call import Child, Place, PlainCall, best_children, weights_of

Operand = tuple[str, np.ndarray]


def einsum_dense(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """What the equation says; its first letter is the batch."""
    source, kernel, output = _letters(call.layer.equation)
    weights = kernel, weights_of(call.layer, "kernel")
    own, bias = (source[1:], call.inputs[0]), np.float32(0)
    if call.paths.include_bias and call.layer.bias is not None:
        bias = np.broadcast_to(weights_of(call.layer, "bias"), call.output.shape)[place]
    return _products(call, 0, own, weights, output[1:], place, sign, np.float32(sign) * bias)


def einsum(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """What the equation says."""
    return _of_two(call, _of_equation(call), place, sign)


def _of_equation(call: PlainCall) -> list[str]:
    texts = [*call.call.args, *call.arguments.values()]
    return _letters(next(t for t in texts if "->" in str(t)))


def pairs(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A constant on the right, over some pairs of axes."""
    return _of_two(call, _of_pairs(call), place, sign)


def _of_pairs(call: PlainCall) -> list[str]:
    first, second = (len(np.shape(value)) for value in _operands(call)[:2])
    first += 1  # The batch axis.
    left, axes = "abcdefg"[:first], call.arguments.get("axes", 2)
    if call.call.kind == "dot":
        axes = [[first - 1], [second - 2 if second > 1 else 0]]
    elif isinstance(axes, int):
        axes = [range(first - axes, first), range(axes)]
    one, other = ([a] if isinstance(a, int) else list(a) for a in axes)
    own = {b % second: left[a] for a, b in zip(one, other, strict=True)}
    right = "".join(own.get(i, "tuvwxyz"[i]) for i in range(second))
    summed = set(own.values())
    return [left, right, "".join(c for c in left + right if c not in summed)]


def matmul(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Rows with columns, matrix by matrix."""
    return _of_two(call, _of_matrices(call), place, sign)


def _of_matrices(call: PlainCall) -> list[str]:
    first, second = (len(np.shape(value)) for value in _operands(call)[:2])
    # Those of the network lack their batch axis here.
    ranks = [r + (p in _places_of_tensors(call)) for p, r in enumerate((first, second))]
    before = "abcdef"[: max(ranks) - 2]
    left, right = (before[len(before) - r + 2 :] for r in ranks)
    rows = "im" if not call.arguments.get("transpose_a") else "mi"
    columns = "mj" if not call.arguments.get("transpose_b") else "jm"
    return [left + rows, right + columns, before + "ij"]


def attention(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """softmax(Q·K) is a constant that weighs the values."""
    query, key, value, *masks = call.inputs
    scale = call.call.kwargs.get("scale") or 1 / np.sqrt(query.shape[-1])
    scores = np.einsum("tnh,snh->nts", query, key) * scale
    allowed = np.ones(scores.shape, bool)
    if masks:
        allowed &= masks[0]
    if call.arguments.get("is_causal"):
        allowed &= np.tril(allowed[0])
    scores = np.where(allowed, scores, np.float32(-1e30))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = ("nts", weights / weights.sum(axis=-1, keepdims=True))
    return _products(call, 2, ("snh", value), weights, "tnh", place, sign)


def reduced(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A sum or mean over axes: all weights are equal."""
    (source,) = call.inputs
    axis = call.arguments["axis"]
    axes = {a % (source.ndim + 1) - 1 for a in ([axis] if isinstance(axis, int) else axis)}
    letters = "abcdef"[: source.ndim]
    kept = "".join(c for i, c in enumerate(letters) if i not in axes)
    sizes = [n for i, n in enumerate(source.shape) if i not in axes]
    unit = np.ravel_multi_index(place, call.output.shape) if sizes else 0
    place = tuple(map(int, np.unravel_index(unit, sizes))) if sizes else ()
    ones = "", np.ones((), np.float32)
    found = _products(call, 0, (letters, source), ones, kept, place, sign)
    if call.paths.weights and call.call.kind == "mean":
        return [child._replace(share=child.share / len(found)) for child in found]
    return found


def leaves_channels_apart(call: PlainCall) -> bool:
    """Whether each channel of the input that is followed is summed up alone, all with one weight.

    Its letter is the last of the output's too, and not one of the weights'.
    """
    rule = call.call.kind
    if rule in ("mean", "sum"):
        axis, rank = call.arguments["axis"], call.inputs[0].ndim + 1
        return rank - 1 not in {a % rank for a in ([axis] if isinstance(axis, int) else axis)}
    if rule == "dotproductattention":
        return True
    if rule == "EinsumDense":
        own, other, output = _letters(call.layer.equation)
    else:
        letters = {"dot": _of_pairs, "matmul": _of_matrices, "tensordot": _of_pairs}
        *names, output = letters.get(rule, _of_equation)(call)
        (branch,) = call.followed
        at = _places_of_tensors(call)[branch]
        own, other = names[at], "".join(names[:at] + names[at + 1 :])
    return own[-1] == output[-1] and own[-1] not in other


def _letters(equation: str) -> list[str]:
    return equation.replace("->", ",").replace(" ", "").split(",")


def _operands(call: PlainCall) -> list:
    # What is computed of sizes counts axes from the batch's on.
    tensors = {n: v[None] for n, v in zip(call.call.inputs, call.inputs, strict=True)}
    own = {id(tensors[n]): v for n, v in zip(call.call.inputs, call.inputs, strict=True)}
    values = call.call.operands(tensors)
    flat = [v for item in values for v in (item if isinstance(item, list) else [item])]
    return [own.get(id(v), v) for v in flat]


def _places_of_tensors(call: PlainCall) -> list[int]:
    """Which of the two operands are tensors of the network."""
    return [
        place
        for place, value in enumerate(_operands(call)[:2])
        if any(value is tensor for tensor in call.inputs)
    ]


def _of_two(call: PlainCall, letters: list[str], place: Place, sign: int) -> list[Child]:
    *names, output = letters
    operands, children = _operands(call), []
    places = _places_of_tensors(call)
    if len(names) == 1:
        alone, ones = (names[0][1:], call.inputs[0]), ("", np.ones((), np.float32))
        return _products(call, 0, alone, ones, output[1:], place, sign)
    pairs = [(names[p][1:] if p in places else names[p], np.asarray(operands[p])) for p in range(2)]
    for branch in call.followed:
        own = places[branch]
        found = _products(call, branch, pairs[own], pairs[1 - own], output[1:], place, sign)
        children += [c._replace(share=c.share / len(call.followed)) for c in found]
    return children


def _products(
    call: PlainCall,
    branch: int,
    own: Operand,
    other: Operand,
    output: str,
    place: Place,
    sign: int,
    bias: float = 0.0,
) -> list[Child]:
    """The best products for one unit of the output."""
    (letters, source), (kernel_letters, kernel) = own, other
    at = dict(zip(output, place, strict=True))
    sizes = dict(zip(letters, source.shape, strict=True))
    summed = [c for c in letters if c not in output]
    places, values, weights = [], [], []
    for inside in product(*(range(sizes[c]) for c in summed)):
        at.update(zip(summed, inside, strict=True))
        places.append(tuple(at[c] for c in letters))
        weights.append(kernel[tuple(at[c] for c in kernel_letters)])
        values.append(np.float32(sign) * (source[places[-1]] * np.float32(weights[-1])) + bias)
    places = [tuple(map(int, own)) for own in places]
    return best_children(call.paths, places, values, weights, sign, call.paths.top_n, branch)
