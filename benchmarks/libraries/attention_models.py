"""Networks of keras-cv-attention-models, which build on Keras 2.15."""

from collections.abc import Callable, Iterator
from functools import partial

from keras_cv_attention_models import (
    beit,
    coatnet,
    convnext,
    efficientformer,
    levit,
    maxvit,
    mobilevit,
    swin_transformer_v2,
)

from keras_backtrack.graph.compat import keras

_COMMON = {"input_shape": (64, 64, 3), "num_classes": 5, "pretrained": None}
_STAGES = {"num_blocks": [1, 1, 1, 2], "out_channels": [8, 16, 16, 24]}

_NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "BEiT": partial(beit.Beit, depth=2, embed_dim=16, num_heads=2),
    "CoAtNet": partial(coatnet.CoAtNet, **_STAGES, stem_width=8, head_dimension=8),
    "ConvNeXt": partial(convnext.ConvNeXt, **_STAGES),
    "ConvNeXtV2": partial(convnext.ConvNeXt, **_STAGES, use_grn=True, layer_scale_init_value=0),
    "EfficientFormer": partial(
        efficientformer.EfficientFormer, **_STAGES, num_attn_blocks_each_stack=[0, 0, 0, 1]
    ),
    "EfficientFormerV2": partial(
        efficientformer.EfficientFormerV2, **_STAGES, num_attn_blocks_each_stack=[0, 0, 1, 1],
        mlp_ratios=2,
    ),
    "LeViT": partial(
        levit.LeViT, patch_channel=16, out_channels=[16, 24, 24], num_heads=[2, 2, 2],
        depthes=[1, 1, 1], key_dims=[8, 8, 8],
    ),
    "MaxViT": partial(maxvit.MaxViT, **_STAGES, stem_width=8, head_dimension=8),
    "MobileViT": partial(
        mobilevit.MobileViT, num_blocks=[1, 1, 2, 2, 2], out_channels=[8, 8, 16, 16, 16],
        attn_channels=[0, 0, 16, 16, 16], stem_width=8, output_num_features=32,
    ),
    "SwinV2": partial(
        swin_transformer_v2.SwinTransformerV2, num_blocks=[2, 2], num_heads=[2, 2], embed_dim=8,
        window_size=4,
    ),
}  # fmt: skip


def builders() -> Iterator[tuple[str, Callable[[], keras.Model]]]:
    """Names of networks, and what builds them."""
    for name, build in _NETWORKS.items():
        yield name, partial(build, **_COMMON)
