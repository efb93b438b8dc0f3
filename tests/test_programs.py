"""./run.sh PROGRAM: any program, one process per rank, under the same watch as main.py."""

import os
import re
import select
import subprocess
import sys
import time

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT, assert_refused, command
from jobs import Job, lines_of_ranks

from launch.guard import private_folder

STEPS = """
import os, sys, time
sys.path.insert(0, {root!r})
import ranks
rank = int(os.environ["LAUNCH_RANK"])
def main():
{body}
ranks.run(main)
"""


def program(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return path


def stepping(folder, *body):
    """Write a program that reports its steps with ranks.step."""
    return program(folder, STEPS.format(root=str(ROOT), body="\n".join(f"    {line}" for line in body)))


def run(folder, path, *words, options=("--ranks=2",), **environment):
    return Job(folder, *options, path, *words, **environment).end()


def test_a_program_gets_its_words_and_its_rank(tmp_path):
    path = program(
        tmp_path, "import os, sys\nprint(*sys.argv[1:], os.environ['LAUNCH_RANK'], os.environ['LAUNCH_SIZE'])"
    )
    done = run(tmp_path, path, "--repeat=0", "--ranks=9", "x")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"rank {rank}: --repeat=0 --ranks=9 x {rank} 2" for rank in (0, 1)]
    for rank in (0, 1):
        assert (tmp_path / "logs" / f"rank_{rank}.stdout.log").read_text() == f"--repeat=0 --ranks=9 x {rank} 2\n"


def test_untagged_output_is_what_the_program_wrote(tmp_path):
    path = program(tmp_path, "import os\nif os.environ['LAUNCH_RANK'] == '0': print('one'); print('two')")
    done = run(tmp_path, path, options=("--ranks=2", "--untagged"))
    assert done.stdout == "one\ntwo\n"


def test_a_program_has_to_say_how_many_ranks_and_to_be_there(tmp_path):
    assert_refused(command("./run.sh", "--backend=cpu", program(tmp_path, "")), 2, "--ranks")
    assert_refused(command("./run.sh", "--backend=cpu", "--ranks=2", tmp_path / "none.py"), 2, "none.py")


def test_text_without_a_newline_streams(tmp_path):
    path = program(
        tmp_path,
        "import os, time\nif os.environ['LAUNCH_RANK'] == '0':\n    print('once upon', end='', flush=True)\n"
        "    time.sleep(3)\n    print(' a time')\nelse: time.sleep(4)\n",
    )
    job = Job(tmp_path, "--ranks=2", path)
    stdout, seen = job.process.stdout.fileno(), b""
    while b"upon" not in seen:
        assert select.select([stdout], [], [], 60)[0]
        seen += os.read(stdout, 100)
    assert seen == b"rank 0: once upon"
    assert job.process.poll() is None
    assert job.end().stdout == " a time\n"


def test_ranks_with_other_lines_do_not_break_a_line(tmp_path):
    """Rank 0's unfinished line is ended before another rank's is shown, and goes on with its tag."""
    path = program(
        tmp_path,
        "import os, time\nif os.environ['LAUNCH_RANK'] == '0':\n    print('first', end='', flush=True)\n"
        "    time.sleep(3)\n    print('last')\nelse:\n    time.sleep(1.5)\n    print('between')\n",
    )
    done = run(tmp_path, path)
    assert done.stdout == "rank 0: first\nrank 1: between\nrank 0: last\n"


def test_a_limit_for_the_whole(tmp_path):
    path = program(tmp_path, "import os, time\ntime.sleep(100 if os.environ['LAUNCH_RANK'] == '1' else 0)")
    job = Job(tmp_path, "--ranks=2", "--timeout=3", path)
    start = time.time()
    done = job.end()
    assert done.returncode == 124, done.stderr
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]
    assert 3 <= time.time() - start < 20


def test_without_steps_there_is_no_other_limit(tmp_path):
    path = program(tmp_path, "import time\ntime.sleep(4)")
    limits = [f"--{name}_timeout=1" for name in ("start", "build", "predict", "straggler")]
    limits[0] = "--start_timeout=3"  # for appearing at all
    done = run(tmp_path, path, options=("--ranks=2", *limits))
    assert done.returncode == 0, done.stderr


def test_a_program_that_fails_is_named_with_its_last_lines(tmp_path):
    path = program(tmp_path, "import os, time\nif os.environ['LAUNCH_RANK'] == '1': [][3]\ntime.sleep(100)")
    done = run(tmp_path, path)
    assert done.returncode == 1
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]
    assert "IndexError" in done.stderr


def test_output_of_a_rank_is_not_taken_for_a_message(tmp_path):
    """A rank prints what looks like the launcher's lines and packets about another rank, and then fails itself."""
    lie = "rank 7: failed in build: nonsense"
    packet = "@0 " + "eyJob3ciOiAieCIsICJzdGF0dXMiOiA0Mn0K".ljust(1020)
    path = program(
        tmp_path,
        f"import os, sys, time\nif os.environ['LAUNCH_RANK'] == '1':\n    print({lie!r}, {packet!r}, sep='\\n')\n"
        f"    print({lie!r}, {packet!r}, file=sys.stderr, sep='\\n')\n    sys.exit(9)\ntime.sleep(100)",
    )
    done = run(tmp_path, path)
    assert done.returncode == 9
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]


@pytest.mark.parametrize("status", [404, 0, -1, "None"])
def test_a_foreign_exception_with_a_status_is_a_failure_like_any_other(tmp_path, status):
    """Only the suite's own class counts: HTTP's 404 isn't an exit status, and 0 isn't success."""
    path = stepping(
        tmp_path,
        "error = OSError('not found')",
        f"error.status = {status}",
        "raise error if rank == 1 else time.sleep(100) or error",
    )
    done = run(tmp_path, path)
    assert done.returncode == 1, done.stderr
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]
    assert "not found" in done.stderr


def test_any_bytes_of_any_length_are_shown_and_end_nobody(tmp_path):
    path = program(
        tmp_path,
        "import os, sys\nfor number in range(20): os.write(1, bytes([128 + number]) * 4000 + b'\\n')\n"
        "os.write(1, b'x' * 100000)\n",
    )
    start = [str(ROOT / "run.sh"), "--backend=cpu", "--ranks=2", f"--log_dir={tmp_path}", "--untagged", str(path)]
    done = subprocess.run(start, env=ENVIRONMENT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for number in range(20):
        assert done.stdout.count(bytes([128 + number]) * 4000 + b"\n") == 2
    assert done.stdout.count(b"x") == 200000


def test_a_reader_that_pauses_and_reads_on_gets_everything(tmp_path):
    """Meanwhile the limits don't run on, on any rank."""
    path = stepping(
        tmp_path,
        "ranks.step('build')",
        "for number in range(60000): print(number, 'z' * 30)",
        "ranks.step('predict 1 of 1')",
        "print('done')",
    )
    job = Job(tmp_path, "--ranks=2", "--build_timeout=4", "--predict_timeout=4", "--straggler_timeout=1", path)
    try:
        time.sleep(8)
        assert job.process.poll() is None
        done = job.end()
    finally:
        job.kill()
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        text = [line.split()[2] for line in done.stdout.splitlines() if line.startswith(f"rank {rank}: ")]
        assert text == [*map(str, range(60000)), "done"]


def test_a_straggler_is_named_long_before_its_limit(tmp_path):
    path = stepping(
        tmp_path,
        "ranks.step('build')",
        "time.sleep(1000 if rank == 1 else 0.2)",
        "ranks.step('predict 1 of 1')",
        "time.sleep(1000)",
    )
    job = Job(tmp_path, "--ranks=3", "--straggler_timeout=2", path)
    start = time.time()
    done = job.end()
    assert done.returncode == 124, done.stderr
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]
    assert time.time() - start < 40  # of half an hour


def test_a_rank_as_slow_as_the_others_is_no_straggler(tmp_path):
    path = stepping(
        tmp_path,
        "ranks.step('build')",
        "time.sleep(5 if rank == 1 else 2)",  # ten times as long as the others would be 20 s
        "ranks.step('predict 1 of 1')",
        "time.sleep(1)",
    )
    done = run(tmp_path, path, options=("--ranks=2", "--straggler_timeout=1"))
    assert done.returncode == 0, done.stderr


def test_all_ranks_end_where_one_returns_too_soon(tmp_path):
    """Status 0 in the middle of the work isn't the end of it."""
    path = stepping(tmp_path, "ranks.step('build')", "os._exit(0) if rank == 1 else time.sleep(100)")
    done = run(tmp_path, path)
    assert done.returncode == 1
    assert [rank for rank, _ in lines_of_ranks(done.stderr)] == [1]


# Where run.sh is started


def test_nothing_is_imported_from_the_callers_folder(tmp_path):
    for name in ("json", "random", "argparse", "numpy", "mindspore_lite", "ranks", "launch", "logging"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported from the wrong folder')")
    done = command(ROOT / "run.sh", "--backend=cpu", f"--model_path={MODEL}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout


def test_an_empty_environment(tmp_path):
    done = command("env", "-i", ROOT / "run.sh", "--backend=cpu", f"--model_path={MODEL}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "check: PASS" in done.stdout


def test_a_full_temporary_folder_is_named(tmp_path):
    """A file system of 64 KiB, in a namespace of its own."""
    (tmp_path / "tmp").mkdir()
    script = f"mount -t tmpfs -o size=64k none {tmp_path}/tmp && dd if=/dev/zero of={tmp_path}/tmp/x 2>/dev/null; "
    done = command("unshare", "-m", "sh", "-c", script + f"TMPDIR={tmp_path}/tmp exec ./run.sh --backend=cpu")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 1
    assert f"TMPDIR {tmp_path}/tmp" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_temporary_folder_that_is_not_there_is_named(tmp_path):
    done = command("./run.sh", "--backend=cpu", TMPDIR=str(tmp_path / "none"))
    assert_refused(done, 1, f"TMPDIR {tmp_path / 'none'}")


def test_a_path_that_is_not_utf8(tmp_path):
    name = os.fsencode(str(tmp_path)) + b"/\xff.mindir"
    start = [os.fsencode(str(ROOT / "run.sh")), b"--backend=cpu", b"--log_dir", os.fsencode(str(tmp_path))]
    for words in ([b"--model_path", name], [b"--input", name], [b"--config_file", name], [b"--hostfile", name]):
        done = subprocess.run(start + words, env=ENVIRONMENT, capture_output=True, timeout=60)
        messages = [line for line in done.stderr.splitlines() if not re.match(rb"run.sh: back end", line)]
        assert (done.returncode, len(messages)) == (2, 1), done.stderr
        assert b"\xff" in messages[0] or rb"\xff" in messages[0] or rb"\udcff" in messages[0]


def test_a_folder_of_another_user_is_not_used(tmp_path):
    assert private_folder(str(tmp_path / "mine"))
    assert private_folder(str(tmp_path / "mine"))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "theirs").mkdir(0o700)
    os.chown(str(tmp_path / "theirs"), 12345, 12345)
    for name in ("open", "link", "theirs"):
        assert not private_folder(str(tmp_path / name))


def test_python_sees_the_same_program_as_without_run_sh(tmp_path):
    path = program(tmp_path, "import sys\nprint(__name__, sys.argv[0], sys.path[0])")
    done = run(tmp_path, path, options=("--ranks=1", "--untagged"))
    assert done.stdout == command(sys.executable, path).stdout
