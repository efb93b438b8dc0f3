"""README.md and README_CN.md: what they show is what happens, and both show the same.

A comment before each code block says what it is; it can't be seen on the rendered page:

    <!-- runnable: cpu -->             shell; the platform is cpu, ascend-double, srun-double or gpu
    <!-- runnable: cpu, status 4 -->   and its last command ends so
    <!-- output -->                    of the block before; "..." stands for lines that are left out
    <!-- output: numbers differ -->    any number may stand for another
    <!-- output: any order -->         of what several processes print
    <!-- from: FILE -->                lines of this file
    <!-- file: FILE -->                what the reader saves under this name
    <!-- not run: WHY -->

The blocks of both files are the same but for their comments, which a test makes sure of, so one run in a fresh clone
is that of either file. The blocks of a platform are one session of the shell, as a reader's terminal would be. An
output is the whole of what its block prints, stdout and stderr: numbers with a fraction have to be the same to 1e-5
(another CPU may round otherwise), times in names of logs and the clone's path are anything, and a slow machine may say
how long a step takes.
"""

import collections
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, cards, command
from test_ascend import Server
from test_help import options
from test_launch import SRUN
from test_troubleshooting import DOCUMENTS, rows

READMES = ("README.md", "README_CN.md")
BOTH = pytest.mark.parametrize("readme", READMES)
Block = collections.namedtuple("Block", "kind detail language code line")
KINDS = ("runnable", "output", "from", "file", "not run")
PLATFORMS = ("cpu", "ascend-double", "srun-double", "gpu")
NUMBER = r"-?\d+(?:\.\d+)*(?:e[+-]?\d+)?"


def text_of(readme):
    return (ROOT / readme).read_text(encoding="utf-8")


def blocks(readme):
    """Return the fenced code blocks of a file, in order."""
    found, text = [], text_of(readme)
    for match in re.finditer(r"(?:^<!-- (.+?) -->\n)?^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        kind, _, detail = (match.group(1) or "").partition(": ")
        line = text[: match.start()].count("\n") + 1
        found.append(Block(kind, detail, match.group(2), match.group(3), line))
    return found


def prose(readme):
    """Return the file's text without its code blocks and comments."""
    text = re.sub(r"^```\w*\n.*?^```$", "", text_of(readme), flags=re.M | re.S)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def sections(readme):
    """Return [(level, title, prose)] of the headings."""
    parts = re.split(r"^(#+) (.+)$", prose(readme), flags=re.M)[1:]
    return list(zip(map(len, parts[::3]), parts[1::3], parts[2::3]))


def in_english(target):
    return target.replace("_CN.md", ".md").split("#")[0]


# Both files are one


def test_the_blocks_are_the_same_in_both():
    """But for the comments of a shell block."""

    def compared(readme):
        return [
            (
                each.kind,
                each.detail,
                each.language,
                without_comments(each.code) if each.language == "bash" else each.code,
            )
            for each in blocks(readme)
        ]

    one, other = map(compared, READMES)
    for mine, theirs in zip(one, other):
        assert mine == theirs
    assert len(one) == len(other) > 30


def without_comments(code):
    return [re.sub(r"(^|\s+)# .*", "", line) for line in code.splitlines()]


def test_the_headings_have_one_order():
    one, other = ([level for level, *_ in sections(readme)] for readme in READMES)
    assert one == other
    assert len(one) > 20


def test_each_section_has_the_same_links_tables_and_names():
    """Names are what stands in `backticks`; the tables have the same rows and columns."""
    for (_, title, one), (_, titel, other) in zip(*map(sections, READMES)):
        where = f"{title} / {titel}"
        links = [[in_english(each) for each in re.findall(r"\]\(([^)]+)\)", text)] for text in (one, other)]
        if title != "Distributed inference with MindSpore Lite":  # each names the other there
            assert sorted(links[0]) == sorted(links[1]), where
        assert set(re.findall("`[^`\n]+`", one)) == set(re.findall("`[^`\n]+`", other)), where
        rows = [[line.count("|") for line in text.splitlines() if line.startswith("|")] for text in (one, other)]
        assert rows[0] == rows[1], where


@pytest.mark.parametrize("document", [*READMES, "CONTRIBUTING.md", "tests/README.md", *DOCUMENTS, "docs/notes.md"])
def test_every_link_leads_somewhere(document):
    """Files of the suite, and headings as GitHub makes their anchors."""
    found = re.findall(r"\]\(([^)]+)\)", prose(document))
    for target in found:
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], target
    assert len(found) > (10 if document in READMES else -1)


# What they quote is there


@BOTH
def test_every_block_says_what_it_is(readme):
    previous = None
    for each in blocks(readme):
        assert each.kind in KINDS, f"{readme}:{each.line}"
        if each.kind == "output":
            assert previous.kind in ("runnable", "not run"), f"{readme}:{each.line}"
        if each.kind == "runnable":
            assert each.detail.split(", ")[0] in PLATFORMS, f"{readme}:{each.line}"
        assert (each.language == "bash") == (each.kind in ("runnable", "not run")), f"{readme}:{each.line}"
        previous = each
    assert text_of(readme).count("```") == 2 * len(blocks(readme))


@BOTH
def test_quoted_lines_are_the_scripts_own(readme):
    quoted = [each for each in blocks(readme) if each.kind == "from"]
    assert len(quoted) >= 9
    for each in quoted:
        source = (ROOT / each.detail).read_text(encoding="utf-8").splitlines()
        wanted = each.code.splitlines()
        indents = {len(line) - len(line.lstrip()) for line in source if line.strip() == wanted[0].strip()}
        there = any(
            [" " * indent + line if line else "" for line in wanted] == source[start : start + len(wanted)]
            for indent in indents
            for start in range(len(source))
        )
        assert there, f"{readme}:{each.line}: not in {each.detail}"


def test_the_tutorial_shows_every_step_of_every_platform():
    """The vendor's tutorial has these: each is quoted from a script."""
    quoted = "".join(each.code for each in blocks("README.md") if each.kind == "from")
    for text in (
        *("mslite.Context()", 'context.target = ["Ascend"]', "context.ascend.device_id", "context.ascend.rank_id"),
        *('context.ascend.provider = "ge"', 'context.target = ["gpu"]', "context.gpu.rank_id", "context.gpu.device_id"),
        *('context.gpu.provider = "tensorrt"', "mslite.Model()", "model.build_from_file(", "model.get_inputs()"),
        *("model.predict(inputs)", "output.name.rstrip()", "output.data_size", "output.element_num"),
        *("get_data_to_numpy()", "mslite.ModelGroup("),
    ):
        assert text in quoted, text


@BOTH
def test_the_options_are_those_of_the_help(readme):
    """Of run.sh: every one, with the default that --help tells, and in English with its words."""
    rows = re.findall(r"^\| `(--\w+)`( [\w, ]+)? \| (.+?) \| (.+?) \|$", prose(readme), re.M)
    help_has = options("run.sh")
    assert [name for name, *_ in rows] == list(help_has)
    for name, choices, default, meaning in rows:
        head, said = help_has[name]
        listed = re.search(r"{(.*)}", head)
        assert choices.strip() == (listed.group(1).replace(",", ", ") if listed else ""), name
        flag = head == name
        expected, told = (said, "off") if flag else re.fullmatch(r"(.*) \(default: (.*)\)", said).groups()
        if readme == "README.md":
            assert (meaning.replace("`", ""), default.replace("`", "")) == (expected.replace("`", ""), told), name
        elif re.fullmatch("`[^`]+`", default):  # the others are words
            assert default.strip("`") == told, name


@BOTH
def test_the_exit_statuses_are_those_of_the_code(readme):
    import inference
    import launch

    rows = re.findall(r"^\| (\d+|128 \+ N) \| ", prose(readme), re.M)
    assert rows == ["0", "1", "2", "3", "4", "124", "128 + N"]
    assert [0, inference.FAILED, inference.REFUSED, inference.UNAVAILABLE, inference.DIFFERENT] == [0, 1, 2, 3, 4]
    assert (launch.FAILED, launch.REFUSED, launch.UNAVAILABLE, launch.DIFFERENT, launch.TIMEOUT) == (1, 2, 3, 4, 124)


@BOTH
def test_the_figures_of_the_performance_table_were_measured(readme):
    """Each stands in a file of benchmarks/results/."""
    title = {"README.md": "Performance", "README_CN.md": "性能"}[readme]
    (text,) = [text for _, name, text in sections(readme) if name == title]
    figures = [each for line in text.splitlines() if line.startswith("|") for each in re.findall(r"\d+\.\d+", line)]
    results = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "results").glob("*.md"))
    assert len(figures) >= 6
    for each in figures:
        assert re.search(rf"(?<![\d.]){re.escape(each)}(?!\d)", results), each


@BOTH
def test_the_ten_messages_are_of_the_whole_list(readme):
    """In the same words."""
    told = [row for row in rows(readme) if "…" in row[0][0]]
    assert len(told) == 10
    whole = rows(DOCUMENTS[READMES.index(readme)])
    for (message,), *rest in told:
        assert any(message in messages and rest == more for messages, *more in whole), message


# What they show is what happens


def normalised(text, folder):
    text = text.replace(str(folder), "/srv/suite")
    text = re.sub(r"logs/\d{4}-\d\d-\d\d_\d{6}(\.\d+)?", "logs/TIME", text)
    text = re.sub(r"^ranks? [\d, ]+: .*\.\.\. \d+ s$", "", text, flags=re.M)  # a step that takes over 5 s
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def same(shown, printed, numbers):
    """Return whether two lines are the same, with any numbers or with numbers to 1e-5."""
    if shown == printed:
        return True
    if re.sub(NUMBER, "0", shown) != re.sub(NUMBER, "0", printed):
        return False
    pairs = zip(re.findall(NUMBER, shown), re.findall(NUMBER, printed))
    return numbers or all(
        a == b or "." in a and abs(float(a) - float(b)) <= 1e-5 * max(1, abs(float(a))) for a, b in pairs
    )


def compare(block, printed):
    """Make sure that the output block shows what was printed."""
    shown, numbers = normalised(block.code, "/srv/suite"), block.detail == "numbers differ"
    if block.detail == "any order":
        shown, printed = sorted(shown), sorted(printed)
    pieces, at = [[]], 0
    for line in shown:
        pieces.append([]) if line == "..." else pieces[-1].append(line)
    for index, piece in enumerate(pieces):
        first, last = index == 0, index == len(pieces) - 1
        begin = at if first or not last else max(at, len(printed) - len(piece))
        for start in range(begin, begin + 1 if first or last else len(printed)):
            there = printed[start : start + len(piece)]
            if len(there) == len(piece) and all(same(*pair, numbers) for pair in zip(piece, there)):
                at = start + len(piece)
                break
        else:
            raise AssertionError("\n".join([f"line {block.line}:", *piece, "isn't what was printed:", *printed]))
    assert at == len(printed), f"line {block.line}: printed, too: {printed[at:]}"


def test_the_comparison_can_fail():
    def differs(shown, printed, detail=""):
        try:
            compare(Block("output", detail, "", shown, 1), printed)
        except AssertionError:
            return True
        return False

    assert not differs("a 1\n...\nz 2.50\n", ["a 1", "b", "c", "z 2.500001"])
    assert differs("a 1\n...\nz 2.50\n", ["a 1", "b", "c", "z 2.51"])
    assert differs("a 1\n...\nz 2.50\n", ["a 2", "b", "z 2.50"])
    assert differs("a 1\n", ["a 1", "more"])
    assert differs("a 1\nb\n", ["a 1"])
    assert differs("...\nb\n", ["a", "b", "c"])
    assert not differs("p 1.5 x\n", ["p 27.25 x"], "numbers differ")
    assert differs("p 1.5 x\n", ["p 27.25 y"], "numbers differ")
    assert not differs("b\na\n", ["a", "b"], "any order")
    assert differs("b\na\n", ["a", "a"], "any order")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A fresh clone with what isn't committed yet, and the environments and the package that are here already."""
    folder = tmp_path_factory.mktemp("readme") / "suite"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    changed = subprocess.run(["git", "diff", "--binary", "HEAD"], cwd=str(ROOT), stdout=subprocess.PIPE, check=True)
    if changed.stdout:
        subprocess.run(["git", "apply"], cwd=str(folder), input=changed.stdout, check=True)
    for name in (".venv", ".venv-export"):
        if (ROOT / name).exists():
            (folder / name).symlink_to((ROOT / name).resolve())
    for path in ROOT.glob("models/*.whl"):
        (folder / "models" / path.name).symlink_to(path)
    return folder


def session(folder, platform, before="", **environment):
    """Run the platform's blocks of README.md in one shell; compare what they print with what it shows."""
    everything, script, mine = blocks("README.md"), ["set -e", "exec 2>&1"], []
    for index, each in enumerate(everything):
        if each.kind == "file" and platform == "cpu":
            script.append(f"cat > {each.detail} <<'@@END'\n{each.code}@@END")
        if each.kind != "runnable" or each.detail.split(", ")[0] != platform:
            continue
        status = int((each.detail.split(", status ") + ["0"])[1])
        mine.append((each, status, everything[index + 1] if everything[index + 1].kind == "output" else None))
        script += [before, f"echo '@@ block {len(mine) - 1}'"]
        script.append(f"{each.code}" if not status else f'set +e\n{each.code}echo "@@ status $?"\nset -e')
    assert mine
    (folder.parent / f"{platform}.sh").write_text("\n".join([*script, "echo '@@ end'"]) + "\n", encoding="utf-8")
    done = command("bash", folder.parent / f"{platform}.sh", cwd=folder, timeout=280, **environment)
    printed = re.split(r"^@@ block \d+\n", done.stdout, flags=re.M)[1:]
    assert printed, done.stderr
    assert done.stdout.rstrip().endswith("@@ end"), f"line {mine[len(printed) - 1][0].line}:\n{printed[-1]}"
    for (_, status, output), text in zip(mine, printed):
        if status:
            text, ended = text.rsplit("@@ status ", 1)
            assert int(ended.split()[0]) == status, text
        if output:
            compare(output, normalised(text.replace("@@ end\n", ""), folder))
    assert len(printed) == len(mine)


NO_DEVICES = pytest.mark.skipif(
    any(os.path.exists(each) for each in ("/dev/davinci0", "/dev/nvidia0")), reason="./run.sh takes the device here"
)


@NO_DEVICES
def test_the_commands_for_the_cpu(clone):
    """In order, in the clone. pip finds in the environments what it is asked for."""
    session(clone, "cpu", PIP_DISABLE_PIP_VERSION_CHECK="1")


def test_the_commands_for_slurm(clone, tmp_path):
    """srun is the double of test_launch.py."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    mpirun = os.path.join(os.path.dirname(sys.executable), "mpirun")
    session(clone, "srun-double", PATH=f"{tmp_path}:{os.environ['PATH']}", SLURM_JOB_ID="1", MPIRUN=mpirun)


HCCN_TOOL = """#!/bin/sh
# every device of every server has another address
echo x >> "$0.calls"
echo "ipaddr:192.$(wc -l < "$0.calls").$2.6"
echo netmask:255.255.0.0
"""


def test_the_commands_for_ascend(clone, tmp_path):
    """On the double of mindspore_lite's Ascend, with one of hccn_tool; python3 is the suite's."""
    server = Server(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "hccn_tool").write_text(HCCN_TOOL)
    (tools / "hccn_tool").chmod(0o755)
    path = f"{tools}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    environment = {**server.environment, "PATH": path, "GLOG_v": "3"}
    before = f"export ASCEND_DOUBLE_HUB=$(mktemp -d -p {tmp_path})"  # one for each job
    session(clone, "ascend-double", before, **environment)


@pytest.mark.gpu
@pytest.mark.skipif(cards() < 2, reason=f"needs 2 NVIDIA GPUs, here are {cards()}")
def test_the_commands_for_gpus(tmp_path):
    """Where there is no git, in a copy; with this interpreter and its mpirun."""
    folder = tmp_path / "suite"
    shutil.copytree(str(ROOT), str(folder), symlinks=True, ignore=shutil.ignore_patterns(".git", ".gpu", "logs"))
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    session(folder, "gpu", PATH=path, PYTHON=sys.executable)
