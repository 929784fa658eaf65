import pytest

from experiments.data.moses import moses_detokenized, moses_tokenized

# Printed by tokenizer.perl (version 1.1) of the Moses decoder.
TOKENIZED = {
    ("en", "It's a test, isn't it?"): "It &apos;s a test , isn &apos;t it ?",
    ("en", "Mr. Smith paid $3,000.50."): "Mr. Smith paid $ 3,000.50 .",
    ("en", 'He said "no" & left...'): "He said &quot; no &quot; &amp; left ...",
    ("de", "Der 3. Versuch, z.B. heute."): "Der 3. Versuch , z.B. heute .",
    ("de", "Öl-Preise (2010)"): "Öl-Preise ( 2010 )",
}


@pytest.mark.parametrize(("sentence", "tokens"), TOKENIZED.items())
def test_tokens_are_those_of_moses(sentence, tokens):
    language, text = sentence
    assert moses_tokenized([text], language) == [tokens]
    assert moses_tokenized([text, text], language) == [tokens, tokens]


@pytest.mark.parametrize(
    "sentence", ["It's a test, isn't it?", "Two men (in red) & a dog.", ""]
)
def test_detokenizing_undoes_tokenizing(sentence):
    assert moses_detokenized(moses_tokenized([sentence], "en"), "en") == [sentence]
