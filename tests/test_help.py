"""--help of every script: what it has to say of each option, and no more options than those."""

import ast
import re
import sys

import pytest
from conftest import ROOT, command

EXPORT = ROOT / ".venv-export" / "bin" / "python"  # has MindSpore, which the exporters import
SCRIPTS = {
    "run.sh": None,
    **dict.fromkeys(
        (
            *("main.py", "cpu_mpi_distributed.py", "gpu_trt_distributed.py", "ascend_ge_distributed.py"),
            *("ascend_ge_shared_weights.py", "mindir.py", "config_file.py", "rank_table.py", "examples/embed.py"),
        ),
        sys.executable,
    ),
    "models/auto_parallel.py": EXPORT,
    "models/export_matmul.py": EXPORT,
    "models/export_minilm.py": EXPORT,
}
SEEN = {}


def help_of(script):
    """Return what the script prints for --help, each option's entry on one line."""
    if script not in SEEN:
        start = [SCRIPTS[script], script] if SCRIPTS[script] else [f"./{script}"]
        done = command(*start, "--help", COLUMNS="100")
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        SEEN[script] = re.sub(r"\n {8,}", "  ", done.stdout)
    return SEEN[script]


def options(script):
    """Return {option: (how it is written, what is said of it)}."""
    found = {}
    for line in help_of(script).splitlines():
        if line.startswith("  -"):
            head, *texts = re.split(" {2,}", line.strip())
            name = re.search(r"--\w+", head).group()
            found[name] = head, " ".join(texts)
    found.pop("--help", None)
    return found


def declared(path):
    """Return [(names, keywords)] of the add_argument calls in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        (
            [each.value if isinstance(each, ast.Constant) else each.s for each in node.args],
            {k.arg for k in node.keywords},
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument"
    ]


def parsers():
    """Return the files of the suite that make a parser."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("models/*.py"), *ROOT.glob("examples/*.py")]
    makes = re.compile(r"= (argparse\.ArgumentParser|inference\.argument_parser)\(")
    return sorted(path for path in files if makes.search(path.read_text(encoding="utf-8")))


def test_no_script_is_left_out():
    named = {str(path.relative_to(ROOT)).replace("launch.py", "run.sh") for path in parsers()}
    assert named == set(SCRIPTS)


@pytest.mark.parametrize("path", parsers(), ids=lambda path: path.name)
def test_no_option_can_be_shortened_and_each_has_a_text(path):
    for file in (path, ROOT / "inference.py"):
        text = file.read_text(encoding="utf-8")
        assert text.count("ArgumentParser(") == text.count("allow_abbrev=False") <= 1
    for names, keywords in declared(path):
        assert "help" in keywords, names


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_help_of_a_script(script):
    """Its usage, its idea in one line, its options in groups, each with its default, and an example at the end."""
    text = help_of(script)
    usage, idea, *groups, examples = re.split(r"\n\n", text.rstrip())
    assert usage.startswith(f"usage: {'./' if script == 'run.sh' else ''}{script.split('/')[-1]}")
    assert idea.endswith((".", "end."))
    assert re.match(rf"examples?:\n    .*{re.escape(script)}", examples, re.S)
    for group in groups:
        assert re.match(r"[a-z][a-z ]+:\n  \S", group), group
    found = options(script)
    path = ROOT / script.replace("run.sh", "launch.py")
    visible = [names[-1] for names, _ in declared(path) if names[-1].startswith("--")]
    hidden = {"--why", "--help"}
    assert set(found) >= set(visible) - hidden
    required = set(re.findall(r"(?<!\[)(--\w+)", re.sub(r"\[[^][]*\]", "", usage)))
    for name, (head, said) in found.items():
        assert said, name
        flag = head == name
        if not flag and name not in required:
            assert re.search(r"\(default: [^)]+\)$", said), (name, said)


@pytest.mark.parametrize(
    "script, option",
    [
        ("main.py", "--model=models/Matmul.mindir"),
        ("cpu_mpi_distributed.py", "--model=models/Matmul.mindir"),
        ("rank_table.py", "--chec=rank_table.json"),
        ("run.sh", "--rank=2"),
    ],
)
def test_an_option_in_short_is_refused(script, option):
    done = command(*([SCRIPTS[script]] if SCRIPTS[script] else []), ROOT / script, option)
    assert done.returncode == 2
    assert option in done.stderr or "--model_path" in done.stderr  # not known, or the one that is required is missing


def test_run_shs_help_has_every_option_that_a_rank_takes():
    """But those that it gives them itself; and each once."""
    mine, theirs = options("run.sh"), options("main.py")
    assert set(theirs) - set(mine) == {"--rank_id", "--device_id"}
    assert len(re.findall(r"^  --", help_of("run.sh"), re.M)) == len(mine)
    for name in set(theirs) & set(mine) - {"--config_file", "--model_path"}:
        assert mine[name] == theirs[name]
