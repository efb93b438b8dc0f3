"""--help of every script: it has a text for each option, and lists no other options."""

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
            *("ascend_ge_shared_weights.py", "mindir", "ascend/config.py", "ascend/rank_table.py", "examples/embed.py"),
            "examples/generate.py",
        ),
        sys.executable,
    ),
    "examples/serve.py": ROOT / ".venv-serve" / "bin" / "python",  # which has kserve
    "models/auto_parallel.py": EXPORT,
    "models/export_matmul.py": EXPORT,
    "models/export_minilm.py": EXPORT,
    "models/export_smollm.py": EXPORT,
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
    """Return {option: (how it is written, its text)}."""
    found = {}
    for line in help_of(script).splitlines():
        if line.startswith("  -"):
            head, *texts = re.split(" {2,}", line.strip())
            name = re.search(r"--\w+", head).group()
            found[name] = head, " ".join(texts)
    found.pop("--help", None)
    return found


PAGES = [script for script in SCRIPTS if re.fullmatch("(cpu|gpu|ascend)_.*[.]py", script)]


def test_no_script_is_left_out():
    """Every file that makes a parser is in this list of scripts, or passes its options to one."""
    files = [path for folder in (".", "models", "examples", "ascend", "mindir") for path in ROOT.glob(f"{folder}/*.py")]
    made = {
        str(path.relative_to(ROOT)) for path in files if re.search(r"parser = .*[Pp]arser\(", path.read_text("utf-8"))
    }
    assert {name.replace("/__main__.py", "") for name in made} == set(SCRIPTS) - {"run.sh"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_has_a_text_with_its_default(script):
    text = help_of(script)
    usage = text.split("\n\n")[0]
    assert usage.startswith(f"usage: {'./' if script == 'run.sh' else ''}{script.split('/')[-1]}")
    required = set(re.findall(r"(?<!\[)(--\w+)", re.sub(r"\[[^][]*\]", "", usage)))
    for name, (head, text) in options(script).items():
        assert text, name
        flag = head == name
        if not flag and name not in required:
            assert re.search(r"\(default: [^)]+\)$", text), (name, text)


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script not in PAGES])
def test_the_help_of_a_script(script):
    """Its usage, its idea in one line, its options in groups, and an example at the end."""
    usage, idea, *groups, examples = re.split(r"\n\n", help_of(script).rstrip())
    assert idea.endswith((".", "end."))
    assert re.match(rf"examples?:\n    .*{re.escape(script)}", examples, re.S)
    for group in groups:
        assert re.match(r"[a-z][a-z, ]+:\n  \S", group), group


@pytest.mark.parametrize("script", PAGES)
def test_the_help_of_a_page_is_what_stands_at_its_top(script):
    top = (ROOT / script).read_text(encoding="utf-8").split('"""')[1].replace("\\\\\n", "\\\n").strip()
    text = re.sub(r"\s+", " ", help_of(script))
    assert re.sub(r"\s+", " ", top) in text
    assert f"python3 {script} --model_path" in text


@pytest.mark.parametrize(
    "script, option",
    [
        ("main.py", "--model=models/Matmul.mindir"),
        ("ascend/rank_table.py", "--chec=rank_table.json"),
        ("run.sh", "--rank=2"),
    ],
)
def test_an_abbreviated_option_is_refused(script, option):
    done = command(*([SCRIPTS[script]] if SCRIPTS[script] else []), ROOT / script, option)
    assert done.returncode == 2
    assert option in done.stderr or "--model_path" in done.stderr  # unknown, or a required one is missing


def test_run_shs_help_has_every_option_that_a_rank_takes():
    """Except those that it gives them itself; and each of them once."""
    mine, theirs = options("run.sh"), options("main.py")
    assert set(theirs) - set(mine) == {"--rank_id", "--device_id"}
    assert len(re.findall(r"^  --", help_of("run.sh"), re.M)) == len(mine)
    for name in set(theirs) & set(mine) - {"--config_file", "--model_path"}:
        assert mine[name] == theirs[name]
