"""What a run of machine translation is."""

import dataclasses
from typing import Literal, TypeAlias

from tyro.conf import OmitArgPrefixes

from experiments.data.buckets import make_buckets
from experiments.nets.transformer_layers import TransformerConfig
from experiments.training.config import Ascent, require_positive

TextName: TypeAlias = Literal["numbers", "multi30k", "iwslt14_de_en"]


@dataclasses.dataclass(frozen=True)
class TextData:
    """The sentences and how they become batches, German to English."""

    dataset: TextName
    """numbers is made on the spot; the others are prepared TFDS data sets."""
    num_subwords: int
    """Ids of the byte-pair encoding that both languages share."""
    num_train: int | None = None
    """Training pairs, drawn at random; all by default (numbers has no default)."""
    max_length: int = 175
    """Longest training sentence in subwords; longer ones are left out, and counted, as
    are those that no bucket holds."""
    num_tokens: int = 4096
    """Tokens a batch, padding included, of the source and of the target each."""
    bucket_lengths: tuple[int, ...] = (16, 24, 32, 48, 80, 176)
    """Lengths of the batches, the end of a sentence included; each is compiled once."""
    data_seed: int = 0
    """Seed of the subset, and of the numbers."""

    def __post_init__(self):
        """Refuses no data, a data set of unknown size, and batches without shapes."""
        require_positive(self, "num_subwords", "max_length", "num_tokens")
        if self.num_train is not None:
            require_positive(self, "num_train")
        make_buckets(self.bucket_lengths, self.num_tokens)
        if self.dataset == "numbers" and self.num_train is None:
            raise ValueError("numbers are made on the spot: choose num_train")


@dataclasses.dataclass(frozen=True)
class TranslationConfig:
    """Every number of a run of machine translation."""

    name: str
    """Name of the preset, and of the run folder."""
    data: OmitArgPrefixes[TextData]
    net: OmitArgPrefixes[TransformerConfig]
    ascent: OmitArgPrefixes[Ascent] = dataclasses.field(default_factory=Ascent)
    epochs: int = 50
    """Passes over the training pairs."""
    learning_rate: float = 5e-4
    """At the end of warm-up; from there it falls as one over the root of the step."""
    warmup_steps: int = 4000
    """Steps over which the learning rate rises from 0."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Of Adam."""
    weight_decay: float = 1e-4
    """Decoupled, on all parameters, at w, outside the ascent."""
    label_smoothing: float = 0.1
    """s: the target is 1 - s + s / V for the true token, s / V for the others."""
    averaged: int = 1
    """Epochs at the end whose parameters are averaged before translating."""
    beam_size: int = 5
    """Hypotheses that the search keeps."""
    length_penalty: float = 1.0
    """The score is log p / length**penalty."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward and backward pass; parameters and ascent stay float32."""

    def __post_init__(self):
        """Refuses a run of no step, and what would be refused after training."""
        require_positive(self, "epochs", "warmup_steps", "averaged", "beam_size")
        if self.averaged > self.epochs:
            raise ValueError(f"cannot average {self.averaged} of {self.epochs} epochs")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be in [0, 1), got {self.label_smoothing}"
            )
        if not self.length_penalty >= 0:
            raise ValueError(f"length_penalty must be >= 0, got {self.length_penalty}")

    @property
    def summary(self) -> str:
        """The config in a few words."""
        return (
            f"transformer on {self.data.dataset}: {self.epochs} epochs, "
            f"{self.ascent.summary}"
        )
