"""docs/troubleshooting.md and its Chinese one have every message that the suite prints, and no other.

The messages are read out of the code: what is given to Stop, MindIRError, stop(), say(), parser.error() and the like,
with "…" for what is filled in while it runs. A row of a table may have several messages, and each may be shortened to
what tells it from others, with "…" for the rest.
"""

import ast
import itertools
import re

import pytest
from conftest import ROOT

DOCUMENTS = ("docs/troubleshooting.md", "docs/troubleshooting_CN.md")
BOTH = pytest.mark.parametrize("document", DOCUMENTS)
FILES = sorted(
    path
    for pattern in ("*.py", "mindir/*.py", "models/*.py", "examples/*.py")
    for path in ROOT.glob(pattern)
    if "benchmarks" not in path.parts
)
# function: which of its arguments is the message
TOLD = {
    **dict.fromkeys(("MindIRError", "RankTableError", "ConfigError", "ValueError", "error"), 0),
    **dict.fromkeys(("Stop", "stop", "IsADirectoryError"), 1),
}
TOLD_IN = {  # where a name means something else, or isn't a message elsewhere
    "inference.py": {"refuse": 1, "line": 1},
    "main.py": {"refuse": 1},
    "rank_table.py": {"refuse": 0, "append": 0, "_once": 3},
    "launch.py": {"say": 0, "append": 0},
    "embed.py": {"print": 0},
}
TOLD_AS = ("failed", "warning")  # keywords and keys of dicts whose value is a message


def templates(value, scope, seen=()):
    """Return the texts that an expression can be, with … for what isn't known."""
    if type(value).__name__ in ("Constant", "Str", "NameConstant", "Num"):  # the last three before Python 3.8
        text = getattr(value, "value", getattr(value, "s", ""))
        return [text] if isinstance(text, str) else ["…"] if text is not None else []
    if isinstance(value, ast.JoinedStr):
        parts = [templates(each, scope, seen) for each in value.values]
        return ["".join(each) for each in itertools.islice(itertools.product(*parts), 64)]
    if isinstance(value, ast.FormattedValue):
        return templates(value.value, scope, seen)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        pairs = itertools.product(templates(value.left, scope, seen), templates(value.right, scope, seen))
        return [a + b for a, b in pairs]
    if isinstance(value, ast.IfExp):
        return templates(value.body, scope, seen) + templates(value.orelse, scope, seen)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "format":
        return [re.sub(r"\{\w*\}", "…", each) for each in templates(value.func.value, scope, seen)]
    if isinstance(value, ast.Name) and value.id in scope and value.id not in seen:
        return [text for each in scope[value.id] for text in templates(each, scope, (*seen, value.id))]
    return ["…"]


def scope_of(function):
    """Return {name: [what is assigned to it]} of a function."""
    found = {}
    for node in sorted(ast.walk(function), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            old = found.get(node.target.id, [])
            found[node.target.id] = [ast.BinOp(each, node.op, node.value) for each in old]
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, []).append(value)
    return found


def sites(path):
    """Return {line: [texts]} of the messages in a file."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), {}
    told = {**TOLD, **TOLD_IN.get(path.name, {})}

    def visit(node, scope, function):
        if isinstance(node, ast.FunctionDef):
            scope, function = {**scope, **scope_of(node)}, node.name
        values = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in told and len(node.args) > told[name]:
                given = node.args[told[name]]
                values.append(given.elts[1] if isinstance(given, ast.Tuple) and len(given.elts) == 3 else given)
            values += [each.value for each in node.keywords if each.arg in TOLD_AS]
        if isinstance(node, ast.Dict):
            keys = [getattr(key, "value", getattr(key, "s", None)) for key in node.keys]
            values += [value for key, value in zip(keys, node.values) if key in TOLD_AS]
        if isinstance(node, ast.Return) and path.name == "inference.py" and isinstance(node.value, ast.Tuple):
            values += node.value.elts[2:]
        if isinstance(node, ast.Return) and function == "verdict":
            values.append(node.value)
        if function in ("problems", "_repeated") and isinstance(node, (ast.List, ast.ListComp)):
            values += getattr(node, "elts", [getattr(node, "elt", None)])
        for value in values:
            texts = {re.sub("…[… ]*…", "…", text) for text in templates(value, scope)}
            texts = {text for text in texts if len(re.findall("[a-zA-Z]", text)) > 6}
            if texts:
                found.setdefault(node.lineno, set()).update(texts)
        for child in ast.iter_child_nodes(node):
            visit(child, scope, function)

    visit(tree, {}, "")
    return found


def shell_sites():
    """Return {line: {text}} of run.sh's messages."""
    text, found = (ROOT / "run.sh").read_text(encoding="utf-8"), {}
    text = re.sub(r'\$\([\w -]*(?:"\$\w+")?\)', "…", text)  # quotes within quotes
    for match in re.finditer(
        r'^(?!say\(\)|die\(\)).*?\b(?:say|die \d) ("[^"]*"(?:(?: |\s*\\\n\s*)"[^"]*")*)', text, re.M
    ):
        said = " ".join(re.findall(r'"([^"]*)"', match.group(1)))
        said = re.sub(r"\$\{[^}]*\}|\$\([^)]*\)|\$[\w@*]+|\$", "…", said)
        if said.strip("…") and "${@" not in match.group(1):
            found[text[: match.start()].count("\n") + 1] = {said}
    return found


def all_sites():
    """Return {file:line: texts}."""
    found = {f"run.sh:{line}": texts for line, texts in shell_sites().items()}
    for path in FILES:
        found.update({f"{path.name}:{line}": texts for line, texts in sites(path).items()})
    return found


def rows(document):
    """Return [(messages, meaning, what to do)] of a document's tables."""
    found = []
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = re.split(r"(?<!\\) \| ", line[2:-2])
            assert len(cells) == 3, line
            found.append((re.findall("`([^`]+)`", cells[0]), *cells[1:]))
    return found


def pattern(message):
    """Return what finds the message of a row in the code's."""
    return re.compile(".*".join(re.escape(each) for each in message.split("…")))


@pytest.fixture(scope="module")
def messages():
    found = all_sites()
    assert len(found) > 180
    return found


@BOTH
def test_every_message_of_the_code_is_in_the_document(messages, document):
    patterns = [pattern(each) for texts, *_ in rows(document) for each in texts]
    missing = [f"{where}: {text}" for where, texts in messages.items() for text in texts
               if not any(each.search(text) for each in patterns)]  # fmt: skip
    assert not missing, "\n".join(missing)


@BOTH
def test_every_message_of_the_document_is_in_the_code(messages, document):
    texts = {text for each in messages.values() for text in each}
    for told, meaning, advice in rows(document):
        assert len(meaning) > 3
        assert len(advice) > 2
        for each in told:
            assert len(re.findall("[a-zA-Z]", each)) > 5, f"{each}: finds anything"
            assert any(pattern(each).search(text) for text in texts), each


def test_both_documents_have_the_same_rows():
    one, other = map(rows, DOCUMENTS)
    assert [told for told, *_ in one] == [told for told, *_ in other]
    levels = [re.findall(r"^(#+) ", (ROOT / document).read_text(encoding="utf-8"), re.M) for document in DOCUMENTS]
    assert levels[0] == levels[1]
    for (_, *mine), (_, *theirs) in zip(one, other):  # what is a name in one is a name in the other
        assert set(re.findall("`[^`]+`", "".join(mine))) == set(re.findall("`[^`]+`", "".join(theirs)))


def test_a_message_that_is_new_would_be_missed(tmp_path):
    """What finds messages finds those that are put together from pieces."""
    (tmp_path / "inference.py").write_text(
        'def f(a):\n    advice = "do this" if a else f"do {a}"\n    message = f"{a}: it went wrong"\n'
        '    raise Stop(1, f"{message}: {advice}")\n'
    )
    assert sites(tmp_path / "inference.py") == {4: {"…: it went wrong: do this", "…: it went wrong: do …"}}
