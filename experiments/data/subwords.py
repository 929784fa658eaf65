"""Subwords: byte-pair encoding (sentencepiece) that source and target share.

The text is not normalized, but for white space: what a net is trained to write is what
the references hold. The model's bytes belong to a run, as its parameters do; training
it again gives the same bytes only with the same sentencepiece.
"""

import io
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import sentencepiece

from experiments.data.special_tokens import BEGIN, END, PADDING, UNKNOWN


def train_subwords(sentences: Iterable[str], vocab_size: int) -> bytes:
    """Learns byte-pair merges from the training sentences of both languages.

    Args:
        sentences: Training text alone; the model is the same for the same sentences in
            the same order.
        vocab_size: The number of ids: 4 special ones, every character of the text, and
            merges for the rest.

    Returns:
        A sentencepiece model.

    Raises:
        ValueError: The text has more characters, or fewer merges, than ids.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(_single_spaced(sentence) for sentence in sentences),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            pad_id=PADDING,
            bos_id=BEGIN,
            eos_id=END,
            unk_id=UNKNOWN,
            # By default it leaves out lines of more than 4,192 bytes.
            max_sentence_length=1 << 20,
            # The number of threads is written into the model.
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(f"cannot learn {vocab_size} subwords: {error}") from error
    return model.getvalue()


def kept_subwords(
    path: pathlib.Path, sentences: Iterable[str], vocab_size: int
) -> "Subwords":
    """Reads the model of a run, or learns it and keeps it there, whole or not at all.

    Args:
        path: The file of the model.
        sentences: What `train_subwords` learns from if there is no such file.
        vocab_size: The number of ids.

    Raises:
        ValueError: The file holds no model, or one of another size.
    """
    if not path.exists():
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(train_subwords(sentences, vocab_size))
        partial.replace(path)
    try:
        subwords = Subwords(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if len(subwords) != vocab_size:
        raise ValueError(f"{path} has {len(subwords)} subwords, not {vocab_size}")
    return subwords


class Subwords:
    """Sentences to ids and back."""

    def __init__(self, model: bytes):
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise ValueError("this is no sentencepiece model") from error
        self.model = model

    def __len__(self) -> int:
        """Returns the number of ids."""
        return self._processor.get_piece_size()

    def encode(self, sentences: Sequence[str]) -> list[np.ndarray]:
        """Returns the ids of each sentence, int32 [length], without `BEGIN` and `END`.

        A run of characters that the training text lacks becomes one `UNKNOWN`.
        """
        ids = self._processor.encode([_single_spaced(line) for line in sentences])
        return [np.array(line, np.int32) for line in ids]

    def decode(self, ids: Iterable[np.ndarray]) -> list[str]:
        """Returns the sentence of each row of ids, up to its first `END`.

        It undoes `encode` but for unknown characters, which become "⁇", and for white
        space, of which a single space is left between words.
        """
        return [self._processor.decode(_before_end(row)) for row in ids]


def _before_end(row: np.ndarray) -> list[int]:
    ids = [int(token) for token in row]
    ids = ids[: ids.index(END)] if END in ids else ids
    return [token for token in ids if token not in (PADDING, BEGIN)]


def _single_spaced(sentence: str) -> str:
    """Returns the words with one space between them, no-break spaces included."""
    return " ".join(sentence.split())
