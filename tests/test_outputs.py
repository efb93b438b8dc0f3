"""--output and --json: where they go, and that nothing half-written stays."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from conftest import ENVIRONMENT, ROOT, lines, run_main
from test_main import FIXTURES


def test_an_output_goes_where_a_link_points(model, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    assert run_main(2, model, "--json", tmp_path / "link.json").returncode == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["check"]["result"] == "PASS"


def test_an_output_goes_into_a_device_or_pipe_that_is_there(tmp_path):
    from suite import files

    pipe = tmp_path / "pipe"
    os.mkfifo(str(pipe))
    files.check_writable(str(pipe))
    files.check_writable("/dev/null")
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    files.write(str(pipe), lambda file: file.write(b"whole"))
    assert reader.communicate()[0] == b"whole"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    files.write("/dev/null", lambda file: file.write(b"whole"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_report_on_stdout_comes_between_the_lines(model, tmp_path):
    """Whether stdout is a pipe or a file, and without losing anything of either."""
    done = run_main(2, model, "--json=/dev/stdout", "--output=/dev/null")
    assert done.returncode == 0, done.stderr
    with open(str(tmp_path / "out"), "wb") as out:
        words = (
            sys.executable,
            "main.py",
            "--json=/dev/stdout",
            f"--model_path={FIXTURES / 'skip' / '1' / 'Net.mindir'}",
        )
        assert subprocess.call([str(word) for word in words], stdout=out, cwd=str(ROOT), env=ENVIRONMENT) == 0
    for text, count in ((done.stdout, 5), ((tmp_path / "out").read_text(), 3)):
        report = text[text.index("{") : text.rindex("}") + 1]
        assert json.loads(report)["check"]["result"] == "PASS"
        assert len(lines(text.replace(report, ""))) == count


@pytest.fixture(params=[True, False])
def has_nameless(request, monkeypatch):
    """Whether the file system has files without a name; NFS, for example, doesn't."""
    really_open = os.open

    def on_nfs(path, flags, *mode, **more):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return really_open(path, flags, *mode, **more)

    if not request.param:
        monkeypatch.setattr(os, "open", on_nfs)
    return request.param


def test_nothing_is_left_of_an_output_whose_rank_is_killed(tmp_path):
    """In the middle of the file."""
    from suite import files

    def interrupted(file):
        file.write(bytes(1 << 20))
        os.kill(os.getpid(), signal.SIGKILL)

    rank = os.fork()
    if not rank:
        files.write(str(tmp_path / "out.npz"), interrupted)
    assert os.waitpid(rank, 0)[1] == signal.SIGKILL
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("has_nameless")
def test_an_output_keeps_its_mode_and_is_whole_or_as_it_was(tmp_path):
    import ranks as page_ranks
    from suite import files

    output, new = tmp_path / "out.npz", tmp_path / "new"
    output.write_bytes(b"before")
    output.chmod(0o640)

    def broken(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(page_ranks.Stop):
        files.write(str(output), broken)
    assert output.read_bytes() == b"before"
    files.write(str(output), lambda file: file.write(b"after"))
    assert (output.read_bytes(), stat.S_IMODE(output.stat().st_mode)) == (b"after", 0o640)
    mask = os.umask(0o027)
    try:
        files.write(str(new), lambda file: file.write(b"new"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out.npz"]


@pytest.mark.usefixtures("has_nameless")
def test_a_temporary_name_that_is_a_link_is_not_followed(tmp_path, monkeypatch):
    """Even if somebody guesses the name."""
    import ranks as page_ranks
    from suite import files

    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "out.npz.guessed.tmp").symlink_to(tmp_path / "theirs")
    with pytest.raises(page_ranks.Stop):
        files.write(str(tmp_path / "out.npz"), lambda file: file.write(b"mine"))
    assert (tmp_path / "theirs").read_bytes() == b"theirs"
