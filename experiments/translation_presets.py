"""The paper's translation experiment and two that run on a CPU, as configs."""

from experiments.nets.transformer import IWSLT
from experiments.nets.transformer_layers import TransformerConfig
from experiments.presets import ascent
from experiments.training.translation_config import TextData, TranslationConfig

METHODS = ("adam", "sam", "asam")
RHO = {
    "iwslt14": {"adam": 0.0, "sam": 0.1, "asam": 0.2},
    "multi30k": {"adam": 0.0, "sam": 0.1, "asam": 0.5},
    "numbers": {"adam": 0.0, "sam": 0.05, "asam": 0.2},
}


def iwslt14(method: str) -> TranslationConfig:
    """Returns a row of the paper's table: IWSLT'14, German to English.

    The settings come from a second source, the epochs (the paper's, and fairseq's
    recipe) and the average over the last ten from memory.
    """
    return TranslationConfig(
        name=f"iwslt14-{method}",
        data=TextData("iwslt14_de_en", num_subwords=10_000),
        net=IWSLT,
        ascent=ascent(method, RHO["iwslt14"][method]),
        epochs=50,
        averaged=10,
    )


def multi30k(method: str) -> TranslationConfig:
    """Returns a run for a CPU: descriptions of images, 1.7 million weights."""
    return TranslationConfig(
        name=f"multi30k-{method}",
        data=TextData(
            "multi30k",
            num_subwords=4000,
            max_length=40,
            num_tokens=2048,
            bucket_lengths=(16, 24, 40),
        ),
        net=TransformerConfig(
            features=128,
            hidden_features=256,
            num_heads=4,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dropout=0.1,
        ),
        ascent=ascent(method, RHO["multi30k"][method]),
        epochs=5,
        learning_rate=3e-3,
        warmup_steps=800,
        averaged=3,
    )


def numbers(method: str) -> TranslationConfig:
    """Returns a run without data: German number words to English ones."""
    return TranslationConfig(
        name=f"numbers-{method}",
        data=TextData(
            "numbers",
            num_subwords=120,
            num_train=20_000,
            max_length=48,
            num_tokens=2048,
            bucket_lengths=(16, 24, 40),
        ),
        net=TransformerConfig(
            features=64,
            hidden_features=128,
            num_heads=4,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dropout=0.0,
        ),
        ascent=ascent(method, RHO["numbers"][method]),
        epochs=4,
        learning_rate=3e-3,
        warmup_steps=200,
        label_smoothing=0.0,
        averaged=2,
        beam_size=2,
    )


TRANSLATION = {
    config.name: config
    for make in (iwslt14, multi30k, numbers)
    for config in map(make, METHODS)
}
