"""A language model that writes: its nets' cache, prompts in chunks, the choice of a token, tokens to text.

The nets are those that models/export_smollm.py describes. B sentences are written at a time, L is how many tokens of
each a net takes, T the context, the room in the cache, V the number of words.
"""

import numpy as np

import ranks
from suite import hub
from suite.inputs import short_name


def fill(tensors, arrays):
    """Put the arrays, by their names, into a net's input Tensors."""
    ranks.fill(tensors, [arrays[short_name(tensor.name)] for tensor in tensors])


class Writer:
    """The nets of one model, and the cache of keys and values that they share: read() prompts, then step().

    `nets` are built models, each for a different L, one of them for L = 1. The cache is in arrays that all of them take
    as inputs without a copy; a net returns only the new tokens' keys and values, which are then written in place.
    `filled_each_time`: for models with inputs on a device, which have to be filled before every predict. All ranks call
    everything together.
    """

    def __init__(self, nets, filled_each_time=False):
        self.nets, self.cache, self.filled_each_time = {}, {}, filled_each_time
        for model in nets:
            tensors = model.get_inputs()
            arrays = {}
            for tensor in tensors:
                name, shape = short_name(tensor.name), tuple(tensor.shape)
                known = self.cache if name.startswith("cache") else arrays
                known.setdefault(name, np.zeros(shape, ranks.dtype(tensor)))
            arrays.update(self.cache)
            fill(tensors, arrays)
            model.predict(tensors)  # ranks compare inputs at first: now, while all their caches are empty
            self.nets[arrays["ids"].shape[1]] = model, tensors, arrays
        self.chunk = max(self.nets)
        pairs = len(self.cache) // 2
        self.blocks = [(self.cache[f"cache{2 * index}"], self.cache[f"cache{2 * index + 1}"]) for index in range(pairs)]
        self.sentences, self.context = self.blocks[0][1].shape[0], self.blocks[0][1].shape[2]
        self.filled = np.zeros(self.sentences, np.int32)  # how many tokens of each sentence the cache holds
        self.predicts = 0

    def check(self, prompts):
        """Raise Stop (status 2) for a prompt that is empty or longer than the context."""
        for prompt in prompts:
            if not 1 <= len(prompt) <= self.context:
                message = f"a prompt has {len(prompt)} tokens, but the context takes 1 to {self.context}"
                raise ranks.Stop(ranks.REFUSED, f"{message}: change it, or export with another --context")

    def read(self, prompts):
        """Forget all before and take in B prompts, lists of tokens; return the logits after each, (B, V)."""
        self.check(prompts)
        lengths = np.array([len(prompt) for prompt in prompts], np.int32)
        self.filled[:], logits, start = 0, None, 0
        while start < lengths.max():
            length = 1 if lengths.max() - start == 1 else self.chunk
            tokens = np.zeros((self.sentences, length), np.int32)
            for row, prompt in enumerate(prompts):
                part = prompt[start : start + length]
                tokens[row, : len(part)] = part
            new = self._run(tokens, np.clip(lengths - start, 0, length))
            logits = new if logits is None else np.where((lengths > start)[:, None], new, logits)
            start += length
        return logits

    def step(self, tokens):
        """Take in one more token of each sentence, (B,), except where it is -1; return the logits (B, V)."""
        tokens = np.asarray(tokens, np.int32)
        return self._run(np.maximum(tokens, 0)[:, None], (tokens >= 0).astype(np.int32))

    def _run(self, tokens, counts):
        """Predict with tokens (B, L); keep the first `counts` (B,) of each sentence and return their logits."""
        model, tensors, arrays = self.nets[tokens.shape[1]]
        arrays["ids"][:] = tokens
        arrays["positions"][:] = self.filled[:, None] + np.arange(tokens.shape[1], dtype=np.int32)
        arrays["last"][:] = self.filled + np.maximum(counts, 1) - 1
        self.predicts += 1
        ranks.step(f"predict {self.predicts}")  # each has a time limit of its own
        if self.filled_each_time:
            fill(tensors, arrays)
        logits, *added = (output.get_data_to_numpy() for output in model.predict(tensors))
        for row, (start, count) in enumerate(zip(self.filled.tolist(), counts.tolist())):
            for (keys, values), new in zip(self.blocks, added) if count else ():
                groups = keys.shape[1]
                keys[row, :, :, start : start + count] = new[row, :groups, :count].transpose(0, 2, 1)
                values[row, :, start : start + count] = new[row, groups:, :count]
        self.filled += counts.astype(np.int32)
        return logits.copy()  # the next predict writes to the same memory


class Choice:
    """Chooses the next token of each sentence: the likeliest or, with a temperature, one drawn from the likeliest.

    Drawn from the fewest tokens whose probabilities add up to `top_p` (Holtzman and others, arXiv:1904.09751), by a
    generator of each sentence's own: its text depends on `seed` and its place in the batch alone.
    """

    def __init__(self, sentences, temperature=0.0, top_p=1.0, seed=0):
        self.temperature, self.top_p = temperature, top_p
        self.random = [np.random.RandomState(seed + row) for row in range(sentences)]

    def __call__(self, logits):
        """Return the tokens, a list of B, for the logits (B, V)."""
        if not self.temperature:
            return logits.argmax(1).tolist()
        return [self._draw(row.astype(np.float64), random) for row, random in zip(logits, self.random)]

    def _draw(self, logits, random):
        likely = np.exp((logits - logits.max()) / self.temperature)
        order = np.argsort(-likely, kind="stable")
        total = np.cumsum(likely[order])
        total = total[: 1 + np.searchsorted(total, self.top_p * total[-1])]
        place = np.searchsorted(total, random.random_sample() * total[-1], side="right")
        return int(order[min(place, len(total) - 1)])


class Text:
    """Turns tokens into text one by one, with a function that decodes a list of them.

    A character may span several tokens: it is returned when it is complete.
    """

    def __init__(self, decode):
        self.decode, self.waiting = decode, []

    def add(self, token):
        """Return the text that this token adds."""
        self.waiting.append(token)
        return "" if self.decode(self.waiting).endswith("\ufffd") else self.rest()

    def rest(self):
        """Return the rest of the text, complete or not."""
        text, self.waiting = self.decode(self.waiting) if self.waiting else "", []
        return text


def generate(comm, writer, prompts, count, choice, stop=()):
    """Yield (tokens, logits) for each of at most `count` further tokens: lists of B, -1 for a sentence that has ended.

    `prompts` are B lists of tokens; a sentence ends with a token of `stop` or with the context. The first rank of
    `comm` chooses for all of them, by the logits (B, V). Servers that can't talk to each other choose for themselves,
    by the same logits and draws.
    """
    logits, alive = writer.read(prompts), np.ones(len(prompts), bool)
    for _ in range(count):
        tokens = comm.bcast(choice(logits) if hub.is_first(comm) else None)
        tokens = [token if on else -1 for token, on in zip(tokens, alive)]
        yield tokens, logits
        alive &= [token not in stop for token in tokens]
        alive &= writer.filled < writer.context
        if not alive.any():
            return
        logits = writer.step([token if on else -1 for token, on in zip(tokens, alive)])
