"""How a file of rules names the primitives that each is for."""


def rules():
    """Return an empty {primitive: function} and the decorator that fills it: @of("SiLU")."""
    table = {}

    def of(*names):
        def add(function):
            table.update(dict.fromkeys(names, function))
            return function

        return add

    return table, of
