"""Networks of KerasHub: a backbone and, where there is one, its classifier."""

import inspect
from collections.abc import Callable, Iterator

import keras_hub

from keras_backtrack.graph.compat import keras

models = keras_hub.models

_CLASSES = 5
_PICTURE = (32, 32, 3)
# What networks over text share, by whatever name they call it.
_OF_TEXT = {
    "vocabulary_size": 40,
    "vocab_size": 40,
    "num_layers": 2,
    "num_heads": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "num_attention_heads": 2,
    "hidden_dim": 16,
    "embedding_dim": 12,
    "intermediate_dim": 24,
    "max_sequence_length": 12,
    "pretraining_sequence_length": 12,
    "head_dim": 8,
    "head_size": 8,
}
_TRANSFORMER = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "image_shape": _PICTURE}


def _residual(block: str, **settings) -> Callable[[], keras.Model]:
    """A ResNet; KerasHub builds none whose first stack has other than 64 filters."""
    return lambda: models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 2],
        stackwise_num_strides=[1, 2],
        block_type=block,
        image_shape=_PICTURE,
        **settings,
    )


def _csp(stage: str, block: str) -> Callable[[], keras.Model]:
    ratios = {"bottle_ratio": [0.5, 1.0], "block_ratio": [1.0, 0.5], "expand_ratio": [2.0, 1.0]}
    return lambda: models.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2],
        stackwise_strides=[1, 2],
        stackwise_num_filters=[8, 16],
        stage_type=stage,
        block_type=block,
        image_shape=_PICTURE,
        **({} if stage == "dark" else ratios),
    )


def _mobile(squeezed: float | None, activation: str) -> Callable[[], keras.Model]:
    return lambda: models.MobileNetBackbone(
        stackwise_expansion=[[16, 16], [24, 24]],
        stackwise_num_blocks=[2, 2],
        stackwise_num_filters=[[8, 8], [8, 8]],
        stackwise_kernel_size=[[3, 3], [5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1]],
        stackwise_se_ratio=[[None, None], [squeezed, squeezed]],
        stackwise_activation=[["relu", "relu"], [activation, activation]],
        stackwise_padding=[[1, 1], [2, 2]],
        output_num_filters=32,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=squeezed,
        last_layer_filter=32,
        image_shape=_PICTURE,
        input_num_filters=16,
        input_activation=activation,
        output_activation=activation,
    )


def _efficient(blocks: list[str]) -> Callable[[], keras.Model]:
    return lambda: models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 2,
        stackwise_depth_coefficients=[1.0] * 2,
        stackwise_kernel_sizes=[3, 5],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=blocks,
        stackwise_force_input_filters=[0, 0],
        stackwise_nores_option=[False, False],
        num_features=32,
        input_shape=_PICTURE,
    )


def _clip_vision() -> keras.Model:
    from keras_hub.src.models.clip.clip_vision_encoder import CLIPVisionEncoder

    return CLIPVisionEncoder(patch_size=8, intermediate_dim=24, **_TRANSFORMER)


def _clip() -> keras.Model:
    from keras_hub.src.models.clip.clip_text_encoder import CLIPTextEncoder

    text = CLIPTextEncoder(40, 16, 16, 2, 2, 24, max_sequence_length=12)
    return models.CLIPBackbone(_clip_vision(), text, projection_dim=8)


def _text(name: str) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        backbone = getattr(models, f"{name}Backbone")
        wanted = inspect.signature(backbone).parameters
        return backbone(**{key: value for key, value in _OF_TEXT.items() if key in wanted})

    return build


_PICTURES: dict[str, Callable[[], keras.Model]] = {
    "ResNet": _residual("basic_block"),
    "ResNet, bottlenecks": _residual("bottleneck_block"),
    "ResNetV2": _residual("basic_block", use_pre_activation=True),
    "ResNetVd": _residual("bottleneck_block_vd"),
    "DenseNet": lambda: models.DenseNetBackbone([2, 2], image_shape=_PICTURE, growth_rate=8),
    "CSPNet": _csp("csp", "dark_block"),
    "CSPNet, cs3": _csp("cs3", "bottleneck_block"),
    "DarkNet": _csp("dark", "edge_block"),
    "VGG": lambda: models.VGGBackbone([1, 2], [8, 16], image_shape=_PICTURE),
    "Xception": lambda: models.XceptionBackbone(
        stackwise_conv_filters=[[8, 8], [16, 16], [16, 16, 16]],
        stackwise_pooling=[True, True, False],
        image_shape=_PICTURE,
    ),
    "EfficientNet": _efficient(["v1", "v1"]),
    "EfficientNetV2": _efficient(["fused", "unfused"]),
    "MobileNetV2": _mobile(None, "relu6"),
    "MobileNetV3": _mobile(0.25, "hard_swish"),
    "HGNetV2": lambda: models.HGNetV2Backbone(
        depths=[1, 1],
        embedding_size=8,
        hidden_sizes=[16, 16],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(8, 8, 16, 1, 2, 3), (16, 8, 16, 1, 2, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        image_shape=_PICTURE,
    ),
    "ViT": lambda: models.ViTBackbone(patch_size=8, mlp_dim=24, **_TRANSFORMER),
    "DeiT": lambda: models.DeiTBackbone(patch_size=8, intermediate_dim=24, **_TRANSFORMER),
    "DINOv2": lambda: models.DINOV2Backbone(
        patch_size=8, intermediate_dim=24, position_embedding_shape=(40, 40, 3), **_TRANSFORMER
    ),
    "DINOv3": lambda: models.DINOV3Backbone(patch_size=8, intermediate_dim=24, **_TRANSFORMER),
    "Swin": lambda: models.SwinTransformerBackbone(
        image_shape=_PICTURE, embed_dim=8, depths=(2, 2), num_heads=(2, 2), window_size=4
    ),
    "MiT": lambda: models.MiTBackbone(
        layerwise_depths=[1, 1],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        image_shape=_PICTURE,
        hidden_dims=[8, 16],
    ),
    "CLIP vision": _clip_vision,
}
_TEXTS = (
    *("Bert", "DistilBert", "Roberta", "XLMRoberta", "Albert", "DebertaV3", "Electra", "FNet"),
    *("RoformerV2", "ESM", "XLNet", "Bart", "T5", "GPT2", "OPT", "GPTNeoX", "Bloom", "Falcon"),
    *("Gemma", "Llama", "Mistral", "Phi3", "Qwen"),
)
_BACKBONES = {**_PICTURES, "CLIP": _clip, **{name: _text(name) for name in _TEXTS}}
# Where the classifier's name does not begin as the network's does.
_CLASSIFIERS = {
    "ResNet, bottlenecks": None,
    "ResNetV2": "ResNet",
    "ResNetVd": "ResNet",
    "CSPNet, cs3": None,
    "DarkNet": "CSPNet",
    "EfficientNetV2": "EfficientNet",
    "MobileNetV2": "MobileNet",
    "MobileNetV3": "MobileNet",
    "Swin": "SwinTransformer",
    "DINOv2": "",
}


def builders() -> Iterator[tuple[str, Callable[[], keras.Model]]]:
    """Names of networks, and what builds them."""
    for name, build in _BACKBONES.items():
        yield name, build
        short = _CLASSIFIERS.get(name, name)
        for kind in ("ImageClassifier", "TextClassifier", "ProteinClassifier"):
            classifier = short and getattr(models, f"{short}{kind}", None)
            if classifier:
                yield f"{name}, classifier", _classifier(classifier, build)


def _classifier(classifier: type, build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    return lambda: classifier(build(), num_classes=_CLASSES, preprocessor=None)
