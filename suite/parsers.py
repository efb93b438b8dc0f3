"""The command lines of the suite's scripts. Python alone is needed: exporters run where nothing else of it is."""

import argparse


def new_parser(text, **options):
    """Return a parser whose help has the first two paragraphs of a script's text: the idea and the usage."""
    idea, usage = (text or "\n\n").split("\n\n")[:2]  # PYTHONOPTIMIZE=2 takes the text away
    options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
    return argparse.ArgumentParser(description=idea, epilog=f"example:\n{usage}", allow_abbrev=False, **options)


def as_options(words):
    """Return {name: value} of words such as --backend=gpu and --verbose; raise ValueError for others."""
    options = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name.startswith("--"):
            raise ValueError(f"{word}: options for the Session are written --name=value")
        options[name[2:]] = value or True
    return options
