"""What a rule gets: one call with its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..graph import compat
from ..graph.graph import AtRun, Call, Graph
from .packed_weights import Layout, PackedWeights


@dataclass(frozen=True)
class TracedCall:
    """A call with its tensors, as a rule sees it.

    Attributes:
        call: The call.
        position: Which of its outputs the rule is asked about.
        inputs: The tensors it read, batch axis first.
        output: The tensor it made.
        followed: For each input, whether decisions are followed into it; others are constants.
        packed_weights: Keeps weights in another order from one call of the program to the next.
        rows: How many rows of each image its tensors hold, which are images to the rule.
    """

    call: Call
    position: int
    inputs: Sequence[tf.Tensor]
    output: tf.Tensor
    followed: Sequence[bool]
    packed_weights: PackedWeights
    rows: int = 1

    @property
    def layer(self) -> Any:
        """The Keras layer."""
        return self.call.layer

    @property
    def cell(self) -> Graph:
        """What a recurrent layer does at each time step; `Rules` ask for no others."""
        assert self.call.cell is not None
        return self.call.cell

    @property
    def input(self) -> tf.Tensor:
        """The input that is followed, where there is one."""
        return self.inputs[self.followed.index(True)]

    @property
    def followed_inputs(self) -> list[tf.Tensor]:
        """All inputs that are followed."""
        return [t for t, follow in zip(self.inputs, self.followed, strict=True) if follow]

    def among_inputs(self, parts: Sequence[Any]) -> list[Any | None]:
        """Something for each followed input, put where these are among all; None for the others."""
        found = iter(parts)
        return [next(found) if follow else None for follow in self.followed]

    def into_followed(self, parts: Sequence[Any]) -> list[Any | None]:
        """Of something for each input, what is for those that are followed; None for the others."""
        pairs = zip(parts, self.followed, strict=True)
        return [part if follow else None for part, follow in pairs]

    @property
    def operands(self) -> list[Any]:
        """The arguments of a bare operation: tensors, variables, numbers."""
        return self.call.operands(self._tensors(self.inputs))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of a bare operation that are no tensors of the network, by name."""
        return compat.arguments(self.layer, self.call.args, self.call.kwargs)

    def packed(self, variable: Any, layout: Layout) -> tf.Tensor:
        """A variable's weights in another order, which is kept: see `PackedWeights.get`."""
        return self.packed_weights.get(variable, layout)

    def argument(self, name: str) -> Any:
        """One of the arguments of a bare operation, tensors put in; None where it is not given."""
        value = self.arguments.get(name)
        return value.of(self._tensors(self.inputs)) if isinstance(value, AtRun) else value

    def run(self, inputs: Sequence[tf.Tensor], **changed: Any) -> tf.Tensor:
        """The output for other inputs, or with some of the arguments changed."""
        return self.call.run(self._tensors(inputs), **changed)[self.position]

    def run_on_places(self, places: Sequence[tf.Tensor]) -> tf.Tensor:
        """Where units come to, which are given as numbers above 0; 0 is what no unit came to."""
        return self.call.run(self._tensors(places), without_numbers=True)[self.position]

    def _tensors(self, inputs: Sequence[tf.Tensor]) -> dict[int, tf.Tensor]:
        return dict(zip(self.call.inputs, inputs, strict=True))
