"""Tiny transformers and sentences, which the tests of nets and decoding share."""

import dataclasses

import numpy as np

from experiments.nets.transformer import IWSLT, transformer

CONFIG = dataclasses.replace(
    IWSLT,
    features=8,
    hidden_features=12,
    num_heads=2,
    num_encoder_layers=1,
    num_decoder_layers=1,
)
NET = transformer(7, 9, CONFIG)
SOURCE = np.array([[3, 5, 1, 6, 2], [4, 6, 2, 0, 0]], np.int32)
TARGET = np.array([[1, 5, 2, 4], [1, 3, 0, 0]], np.int32)
