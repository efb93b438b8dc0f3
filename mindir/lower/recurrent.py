"""Recurrent layers, step by step."""

from mindir.lower.products import transposes
from mindir.rules import rules

RULES, of = rules()


@of("LSTM")
def lstm(net, x, h, c, weights):
    net.refuse("isn't made of others here", "take nn.LSTMCell in a loop of your own")
