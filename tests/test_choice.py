"""How tokens are chosen from logits, and how their text is shown."""

import numpy as np

from suite.generation import Choice, Text


def test_the_likeliest_token_is_chosen_without_a_temperature():
    assert Choice(2)(np.array([[0, 3, 1], [5, 3, 1]], np.float32)) == [1, 0]


def test_draws_have_the_probabilities_of_the_softmax():
    logits = np.log(np.array([[0.5, 0.3, 0.2]], np.float32)) * 2
    choice = Choice(1, temperature=2.0)
    counts = np.bincount([choice(logits)[0] for _ in range(4000)], minlength=3) / 4000
    assert np.abs(counts - [0.5, 0.3, 0.2]).max() < 0.03  # four standard deviations


def test_only_the_fewest_tokens_that_make_up_top_p_are_drawn():
    logits = np.log(np.array([[0.2, 0.5, 0.05, 0.25]], np.float32))
    for top_p, allowed in ((0.4, {1}), (0.6, {1, 3}), (0.9, {0, 1, 3}), (1.0, {0, 1, 2, 3})):
        choice = Choice(1, temperature=1.0, top_p=top_p)
        assert {choice(logits)[0] for _ in range(500)} == allowed


def test_a_seed_gives_each_sentence_draws_of_its_own():
    logits = np.zeros((3, 1000), np.float32)
    drawn = Choice(3, 1.0, seed=7)(logits)
    assert drawn == Choice(3, 1.0, seed=7)(logits)
    assert drawn[0] == Choice(1, 1.0, seed=7)(logits[:1])[0]  # whatever sentence is beside it
    assert len(set(drawn)) == 3
    assert drawn != Choice(3, 1.0, seed=8)(logits)


def test_a_character_of_several_tokens_comes_out_whole():
    encoded = "né 你🙂!".encode()
    text = Text(lambda tokens: bytes(tokens).decode(errors="replace"))
    pieces = [text.add(byte) for byte in encoded]
    assert [piece for piece in pieces if piece] == list("né 你🙂!")
    assert text.add("é".encode()[0]) == ""
    assert text.rest() == "\ufffd"
    assert text.rest() == ""
