import dataclasses
import itertools
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.command import main, run
from experiments.data.numbers import number_pairs
from experiments.data.special_tokens import BEGIN, END, PADDING
from experiments.nets.transformer import transformer
from experiments.nets.transformer_layers import TransformerConfig
from experiments.training import translation_data, translation_task
from experiments.training.config import Ascent, Cadence, RunOptions
from experiments.training.metrics import read_metrics
from experiments.training.run_folder import RunFolder
from experiments.training.translation_config import TextData, TranslationConfig
from tests.experiments.nets.problems import variables
from tests.experiments.training.running import assert_same_run, use_devices

BATCH, LENGTH, NUM_HELD_OUT = 5, 32, 7
STEPS = 3  # an epoch: 5 + 5 + 2 pairs
CONFIG = TranslationConfig(
    name="tiny",
    data=TextData(
        "numbers",
        num_subwords=60,
        num_train=12,
        num_tokens=BATCH * LENGTH,
        bucket_lengths=(LENGTH,),
    ),
    net=TransformerConfig(
        features=8,
        hidden_features=12,
        num_heads=2,
        num_encoder_layers=1,
        num_decoder_layers=1,
        dropout=0.3,
    ),
    ascent=Ascent(rho=0.2, normalization="elementwise"),
    epochs=3,
    learning_rate=0.01,
    warmup_steps=4,
    averaged=2,
    beam_size=2,
)
TASK = translation_task.translation_task
CADENCE = Cadence(log_every=2, eval_every=2)
TEXT = number_pairs(0, num_train=12, num_validation=NUM_HELD_OUT, num_test=NUM_HELD_OUT)


@pytest.fixture(scope="module", autouse=True)
def in_small():
    """Fewer numbers; programs that are slower, and compiled in half the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation_data, "NUM_HELD_OUT", NUM_HELD_OUT)
        before = jax.config.read("jax_disable_most_optimizations")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", before)


def make_task(path, config=CONFIG, seed=0):
    folder = RunFolder(path)
    return TASK(config, seed=seed, data_dir="", folder=folder)


def subwords_of(path):
    return translation_data.Subwords(RunFolder(path).subwords.read_bytes())


def train(run_dir, **options):
    options = RunOptions(run_dir=str(run_dir), **options)
    return run(CONFIG, TASK, 0, CADENCE, options)


@pytest.fixture(scope="module")
def unbroken(in_small, tmp_path_factory):
    return train(tmp_path_factory.mktemp("unbroken"))


def test_a_run_that_was_stopped_ends_as_an_unbroken_one(
    tmp_path, monkeypatch, capsys, unbroken
):
    def interrupted(*args, start, **options):
        for step, batch in enumerate(batches(*args, start=start, **options), start + 1):
            if step == STEPS + 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    batches = translation_task.train_batches
    argv = ["translation", "tiny", "--run-dir", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*argv, "--log-every", "2", "--eval-every", "2"])
    with monkeypatch.context() as patch:
        patch.setattr(translation_task, "train_batches", interrupted)
        with pytest.raises(SystemExit) as end:
            main({"tiny": CONFIG}, TranslationConfig, TASK, "What it does.")
    assert end.value.code == 75
    assert f"saved at step {STEPS + 1}; the same command res" in capsys.readouterr().out
    outcome, message = train(tmp_path)
    assert_same_run(outcome, unbroken[0])
    assert message.splitlines()[1:] == unbroken[1].splitlines()[1:]
    for name in ("scores.json", "validation.translated", "test.translated"):
        files = [done.folder.path / name for done in (outcome, unbroken[0])]
        assert files[0].read_text() == files[1].read_text()


def test_a_run_leaves_its_files_and_measures(unbroken):
    outcome, message = unbroken
    names = {path.name for path in outcome.folder.path.iterdir()}
    assert names == {
        *("config.json", "metrics.jsonl", "checkpoints", "curves.png"),
        *("subwords.model", "scores.json", "validation.translated", "test.translated"),
    }
    assert message.startswith(f"{outcome.folder.path}\nexact match: ")
    lines = list(read_metrics(outcome.folder.metrics))
    assert [(line["split"], line["step"]) for line in lines] == [
        *[("train", 2), ("train", 4), ("train", 6)],
        *[("validation", 6), ("test", 6), ("train", 8), ("train", 9)],
        *[("validation", 9), ("test", 9)],
    ]
    # The end of warm-up, and twice as many steps.
    rates = {line["step"]: line.get("learning_rate") for line in lines[:3]}
    assert rates[4] == pytest.approx(0.01)
    assert lines[5]["learning_rate"] == pytest.approx(0.01 * np.sqrt(4 / 8))
    for split in ("validation", "test"):
        text = outcome.folder.translations(split).read_text()
        assert text.endswith("\n") and len(text.splitlines()) == NUM_HELD_OUT


def rows_of(batch):
    """Returns the rows that hold a pair, as tuples of ids without padding."""
    arrays = [np.asarray(array) for array in batch]
    return [
        tuple(tuple(ids[ids != PADDING].tolist()) for ids in row)
        for row in zip(*arrays, strict=True)
        if np.any(row[0] != PADDING)
    ]


def test_an_epoch_has_every_pair_once_in_an_order_of_its_own(tmp_path):
    task = make_task(tmp_path)
    assert task.steps_per_epoch == STEPS and task.unit == "tokens"
    batches = [rows_of(b) for b in itertools.islice(task.inputs(0), 2 * STEPS)]
    epochs = [
        list(itertools.chain(*part)) for part in (batches[:STEPS], batches[STEPS:])
    ]
    decode = subwords_of(tmp_path).decode
    for epoch in epochs:
        sources, inputs, outputs = zip(*epoch, strict=True)
        assert sorted(zip(decode(sources), decode(outputs), strict=True)) == sorted(
            zip(*TEXT.train, strict=True)
        )
        for before, after in zip(inputs, outputs, strict=True):
            assert (before[0], after[-1]) == (BEGIN, END)
            assert before[1:] == after[:-1]
    assert epochs[0] != epochs[1]
    resumed = itertools.islice(task.inputs(STEPS + 1), 2)
    assert [rows_of(batch) for batch in resumed] == batches[STEPS + 1 :]
    assert rows_of(next(make_task(tmp_path, seed=1).inputs(0))) != batches[0]


def test_devices_share_the_pairs_of_a_batch(tmp_path, monkeypatch):
    task = make_task(tmp_path)
    shared = list(itertools.islice(task.inputs(0), STEPS))
    assert shared[0].source.addressable_shards[0].data.shape == (1, LENGTH)
    use_devices(monkeypatch, 1)
    alone = make_task(tmp_path)
    assert alone.steps_per_epoch == task.steps_per_epoch
    for one, eight in zip(alone.inputs(0), shared, strict=False):
        assert one.source.shape == (BATCH, LENGTH)
        assert rows_of(one) == rows_of(eight)


def test_every_pair_of_a_ragged_split_counts_once(tmp_path):
    task = make_task(tmp_path)
    net = transformer(60, 60, CONFIG.net)
    params, _ = variables(net)
    forward = jax.jit(lambda *x: net.apply(params, {}, x, False)[0][0])
    subwords = subwords_of(tmp_path)
    measured = task.evaluate(params, {})
    assert measured.keys() == {"validation", "test"}
    for split, pairs in (("validation", TEXT.validation), ("test", TEXT.test)):
        losses, hits = [], []
        for source, target in zip(*map(subwords.encode, pairs), strict=True):
            x = np.zeros((2, 1, 48), np.int32)
            x[0, 0, : len(source) + 1] = [*source, END]
            x[1, 0, : len(target) + 1] = [BEGIN, *target]
            logits = np.asarray(forward(*x), float)[: len(target) + 1]
            y = np.array([*target, END])
            log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            losses += [-log_p[i, y[i]] for i in range(len(y))]
            hits += [*(np.argmax(logits, axis=-1) == y)]
        assert measured[split] == {
            "loss": pytest.approx(np.mean(losses), rel=1e-5),
            "accuracy": pytest.approx(np.mean(hits), rel=1e-6),
        }
        assert len(losses) > NUM_HELD_OUT


@pytest.fixture
def translator(monkeypatch):
    """Lets a function of the references stand for the translator."""

    def install(translated):
        calls = []

        def translate_all(net, params, pairs, subwords, search, *, title):
            calls.append((params, search, title))
            return translated(title, subwords.decode(pairs.pairs.targets))

        monkeypatch.setattr(translation_task, "translate_all", translate_all)
        return calls

    return install


def test_a_finished_run_is_told_by_its_exact_matches(tmp_path, translator):
    def translated(split, references):
        return ["ßeven", "", *references[2:]] if split == "test" else references

    calls = translator(translated)
    config = dataclasses.replace(CONFIG, precision="bfloat16", length_penalty=0.6)
    folder = RunFolder(tmp_path)
    params = {"kernel": jnp.full([2], 1.001)}
    message = make_task(tmp_path, config).conclude(params, folder)
    assert message == f"{tmp_path}\nexact match: 71.4 %"
    scores = json.loads(folder.scores.read_text())
    assert scores["validation"]["exact_match"] == 1
    assert scores["validation"]["bleu"]["plain"]["score"] == pytest.approx(100)
    assert scores["test"]["exact_match"] == 5 / NUM_HELD_OUT
    assert 0 < scores["test"]["bleu"]["plain"]["score"] < 100
    source, reference = TEXT.test.sources[0], TEXT.test.targets[0]
    sample = {"source": source, "reference": reference, "translation": "ßeven"}
    assert scores["test"]["samples"][0] == sample
    lines = folder.translations("test").read_text(encoding="utf-8").splitlines()
    assert lines == ["ßeven", "", *TEXT.test.targets[2:]]
    assert [split for *_, split in calls] == ["validation", "test"]
    for used, search, _ in calls:
        assert used["kernel"].dtype == jnp.bfloat16
        assert search == (2, 0.6)


# BLEU of plain text tells cases apart; of IWSLT'14, which is lower-case, it does not.
@pytest.mark.parametrize(
    ("dataset", "plain", "signature"),
    [("multi30k", 0, "case:mixed"), ("iwslt14_de_en", 100, "case:lc")],
)
def test_translations_of_text_are_told_by_two_scores(
    tmp_path, monkeypatch, translator, dataset, plain, signature
):
    def load_sentences(name, split, data_dir, **languages):
        assert name == dataset
        return getattr(TEXT, split)

    monkeypatch.setattr(translation_data, "load_sentences", load_sentences)
    translator(lambda split, references: [line.upper() for line in references])
    data = dataclasses.replace(CONFIG.data, dataset=dataset)
    task = make_task(tmp_path, dataclasses.replace(CONFIG, data=data))
    message = task.conclude({}, RunFolder(tmp_path))
    assert message.startswith(f"{tmp_path}: test BLEU {plain:.2f} (nrefs:1|{signature}")
    assert message.endswith("tokenized lower-case BLEU 100.00")
