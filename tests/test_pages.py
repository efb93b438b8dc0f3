"""The three pages to copy: one walk in all of them, and each works in a folder with nothing else of the suite."""

import re
import shutil
import sys
import types

import numpy as np
import pytest
from conftest import MODEL, ROOT, lines, ranks
from test_ascend import Server, ended

CPU, GPU, ASCEND = PAGES = ("cpu_mpi_distributed.py", "gpu_trt_distributed.py", "ascend_ge_distributed.py")
WALK = (
    "init context",
    "create Model and build Model",
    "set model input as ones",
    "execute inference",
    "get output and print",
)
# what a page may have of its own in its walk: in the words of the others, and a step that only it has
ITS_OWN = {
    CPU: [("Model(comm)", "mslite.Model()")],
    GPU: [],
    ASCEND: [("context, args.config_file, table)", "context, args.config_file)"), ("args.model_path", "model_path")],
}
MORE = {GPU: "let the GPU read them where they are, and keep the memory of the outputs: faster, no more"}


def source(page):
    return (ROOT / page).read_text(encoding="utf-8")


def walk(page):
    """Return {comment: code} of the steps in the page's main()."""
    body = source(page).split("def main(comm):\n", 1)[1].split("\n\n\n", 1)[0]
    assert body.startswith("    args = parse_arguments()\n\n    # "), page
    steps = {}
    for paragraph in body.split("\n\n")[1:]:
        comment, code = paragraph.split("\n", 1)
        steps[comment.strip("# ")] = code
    return steps


def test_the_pages_differ_in_their_contexts_alone():
    expected = walk(GPU)
    assert set(expected) == {*WALK, MORE[GPU]}
    for page in (CPU, ASCEND):
        steps = walk(page)
        assert tuple(steps) == WALK, page
        for step in WALK[1:]:
            code = steps[step]
            if step == WALK[1]:
                for mine, theirs in ITS_OWN[page]:
                    assert mine in code, (page, mine)
                    code = code.replace(mine, theirs)
            assert code == expected[step], (page, step)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_the_idea_and_the_usage(page):
    text = source(page)
    idea, usage, *_ = text.split('"""')[1].split("\n\n")
    assert re.fullmatch(r"One rank on [^\n]{20,110}\.", idea)
    assert f"python3 {page} --model_path=models/Matmul" in usage
    assert all(line.startswith("    ") for line in usage.splitlines())
    # and ends as all do
    assert re.search(
        r'\n\n\nif __name__ == "__main__":\n    inference\.run\(main, inference\.(world\(MPI\)|alone\(\))\)\n$', text
    )


def test_the_pages_read_their_arguments_in_the_same_way():
    """Word for word up to the options, which are Ascend's own there."""
    texts = {page: source(page).split("def parse_arguments():\n", 1)[1].split("\n\n\n", 1)[0] for page in PAGES}
    heads = {text.split('add_argument_group("model")', 1)[0] for text in texts.values()}
    assert len(heads) == 1
    assert texts[CPU] == texts[GPU] != texts[ASCEND]


def copied(folder, *names):
    """Return an empty folder with copies of these files and of the model."""
    folder.mkdir()
    (folder / "models").mkdir()
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(str(ROOT / name), str(folder / name))
    for number in ("", "0", "1"):
        shutil.copy(str(MODEL.with_name(f"Matmul{number}.mindir")), str(folder / "models"))
    return folder


def test_the_cpus_page_works_where_it_is_copied_to(tmp_path):
    folder = copied(tmp_path / "mine", CPU, "inference.py", "ranks.py", "mindir")
    done = ranks(2, CPU, "--model_path=models/Matmul.mindir", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [line[:7] for line in lines(done.stdout)] == ["rank 0:", "rank 0:", "rank 1:", "rank 1:"]
    assert lines(done.stdout)[1].startswith("rank 0: output data is: -15.2505")


def test_ascends_page_works_where_it_is_copied_to(tmp_path):
    server = Server(tmp_path)
    server.table(2)
    folder = copied(tmp_path / "mine", ASCEND, "inference.py")
    jobs = [
        server.page(
            rank,
            f"--model_path=models/Matmul{rank}.mindir",
            f"--config_file={server.config}",
            cwd=folder,
        )
        for rank in (0, 1)
    ]
    for job in jobs:
        done = ended(job)
        assert done.returncode == 0, done.stderr
        assert lines(done.stdout)[1].startswith("output data is: -15.2505")


def test_the_gpus_page_works_where_it_is_copied_to(tmp_path):
    """With GPUs it prints the result; without, it says what is missing: nothing else of the suite."""
    folder = copied(tmp_path / "mine", GPU, "inference.py")
    packages = ROOT / ".venv" / "gpu" / "lib" / "python3.7" / "site-packages"
    done = ranks(2, GPU, "--model_path=models/Matmul.mindir", cwd=folder, PYTHONPATH=str(packages), GLOG_v="4")
    if done.returncode == 0:
        assert len(lines(done.stdout)) == 4
    else:
        assert done.returncode == 3, done.stderr
        assert re.fullmatch("rank 0: no (NVIDIA driver here|GPU to use).*", lines(done.stderr)[-1])


def test_what_a_page_needs_beside_it():
    """Its imports of the suite's modules, and those modules' own, are what the README tells to take along."""
    ours = {path.stem for path in (*ROOT.glob("*.py"), *(init.parent for init in ROOT.glob("*/__init__.py")))}

    def needed(name):
        files = [f"{name}.py"] if (ROOT / f"{name}.py").exists() else (ROOT / name).glob("*.py")
        text = "\n".join(source(str(file)) for file in files)
        found = {each for each in re.findall(r"^(?:import|from) (\w+)", text, re.M) if each in ours}
        return found.union(*(needed(each) for each in found - {name}))

    assert needed(GPU[:-3]) == needed(ASCEND[:-3]) == {"inference"}
    assert needed(CPU[:-3]) == {"inference", "mindir", "ranks"}
    said = "To\ncopy a page, take `inference.py` along, and `mindir/` with `ranks.py` for the CPU's."
    assert said in source("README.md")


def test_a_rank_prints_its_outputs_in_one_piece(monkeypatch):
    """Ascend's ranks, started by hand, write to one terminal: a line of one must not end in another's."""
    import inference

    written = []
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(write=written.append, flush=lambda: None))
    inference.print_outputs([inference.new_tensor(np.ones(3, np.float32), name) for name in "ab"], inference.alone())
    (text,) = filter(None, written)
    assert len(text.splitlines()) == 4
    assert text.endswith("\n")
