"""How a file of rules says for which primitive each rule is."""


def rules():
    """Return an empty {primitive: function} and the decorator that fills it: @of("SiLU")."""
    table = {}

    def of(*names):
        def add(function):
            table.update(dict.fromkeys(names, function))
            return function

        return add

    return table, of


def joined(modules):
    """Return one table of several files' RULES; a primitive may have only one rule."""
    table = {}
    for module in modules:
        twice = sorted(set(table) & set(module.RULES))
        assert not twice, f"{module.__name__}: {', '.join(twice)} have a rule already"
        table.update(module.RULES)
    return table
