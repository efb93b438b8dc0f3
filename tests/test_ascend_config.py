"""ascend/config.py: what it finds wrong in a config_file.ini, before any rank starts."""

import sys

import pytest
from ascend_server import Server
from conftest import ROOT, assert_refused, command

from ascend import config

CASES = ROOT / "tests" / "cases"
PROGRAM = ROOT / "ascend" / "config.py"


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.write_table(2)
    return made


HEAD = "[ascend_context]\nrank_table_file=rank_table.json\n"


@pytest.mark.parametrize(
    "text, messages",
    [
        ("[ascend_context]\nrank_table_path=rank_table.json\n", (":2: ", "rank_table_path", "rank_table_file?")),
        ("[ascend_contxt]\nrank_table_file=rank_table.json\n", (":1: ", "[ascend_contxt]", "ascend_context?")),
        ('[ascend_context]\nrank_table_file="rank_table.json"\n', (":2: ", "quotes")),
        ("[ascend_context]\nrank_table_file=rank_table.json # mine\n", (":2: ", "comments")),
        ("rank_table_file=rank_table.json\n", (":1: ", "before any [section]")),
        ("[ascend_context]\nrank_table_file\n", (":2: ", "neither")),
        ("[ascend_context]\nrank_table_file=\n", (":2: ", "no value")),
        (HEAD + "provider=acl\n", ("provider=acl",)),
        (HEAD + HEAD, (":3: ", "twice")),
        (HEAD + "rank_table_file=rank_table.json\n", (":3: ", "twice")),
        (HEAD + "; model_cache_mode=mem_opt\n", (":3: ", "#, not with ;")),
        (HEAD + "[ge_session_options]\nexternalWeight=1\n", (":4: ", "ge.externalWeight")),
        (HEAD + "[ge_global_options]\nge.exec.rankTableFile=x.json\n", ("ge.exec.rankTableFile",)),
        (HEAD + "# variable_weights_file is not set\n", (":3: ", "variable_weights_file")),
        ("[ascend_context]\nrank_table_file=elsewhere.json\n", ("elsewhere.json: no such file",)),
        ("[ascend_context]\nrank_table_file=config_file.ini\n", ("must end in .json",)),
    ],
)
def test_a_wrong_configuration_is_found_before_any_rank_starts(server, text, messages):
    server.config.write_text(text)
    done = command(sys.executable, PROGRAM, server.config)
    assert_refused(done, 2, str(server.config), *messages)
    assert not list(server.calls.iterdir())


@pytest.mark.parametrize("text, message", [("", "rank_table.json: is empty"), ("{", "isn't JSON"), ("{}", "version")])
def test_the_configurations_check_reads_its_rank_table_too(server, text, message):
    (server.folder / "rank_table.json").write_text(text)
    assert_refused(command(sys.executable, PROGRAM, server.config), 2, "rank_table.json: ", message)


def test_run_sh_looks_at_the_configuration_first(server):
    server.config.write_text("[ascend_context]\nrank_table_path=rank_table.json\n")
    assert_refused(server.run(), 2, "key rank_table_path in [ascend_context]", "did you mean rank_table_file?")
    assert not list(server.calls.iterdir())


def test_every_option_of_the_shipped_configuration_is_known(server):
    """Also with all of them switched on; and the double, which has its own list, accepts the file."""
    text = (ROOT / "config_file.ini").read_text()
    switched_on = [
        line[2:] if line.startswith("# ") and "=" in line and " " not in line[2:] else line
        for line in text.splitlines()
    ]
    server.config.write_text("\n".join(switched_on))
    done = command(sys.executable, PROGRAM, server.config)
    assert done.returncode == 0, done.stderr
    for option in (
        *("provider", "model_cache_dir", "model_cache_mode", "parameter_as_refdata", "ge_variable_memory_max_size"),
        *("ge_graph_memory_max_size", "ge.externalWeight", "ge.exec.precision_mode", "ge.inputShape", "ge.dynamicDims"),
        *("ge.dynamicNodeType", "ge.exec.hcclExecuteTimeOut"),
    ):
        assert option == "provider" or f" {option}=" in done.stdout, option


# reported cases: cases/


def configuration(path):
    return command(sys.executable, PROGRAM, path)


def test_quotes_are_allowed_where_the_reader_removes_them():
    for name, option in (("converter", 'input_format="ND"'), ("plan", 'op_1="data_type:float16"')):
        done = configuration(CASES / "09-config-quotes" / f"{name}.ini")
        assert (done.returncode, done.stderr) == (0, "")
        assert option in done.stdout


def test_encodings():
    folder = CASES / "10-config-bom-gbk"
    for name in ("bom", "crlf"):
        done = configuration(folder / f"{name}.ini")
        assert (done.returncode, done.stderr) == (0, "")
        assert "[ascend_context] provider=ge\n" in done.stdout
    assert_refused(configuration(folder / "gbk.ini"), 2, "gbk.ini:1: byte 3 (0xc5)", "UTF-8")


def table_check(path):
    return command(sys.executable, ROOT / "ascend" / "rank_table.py", "--check", path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "latin-1"])
def test_other_encodings_are_named_by_their_place(tmp_path, encoding):
    text = "# 中文\n" if encoding != "latin-1" else "# \xe9\n"
    for name, check in (("config.ini", configuration), ("table.json", table_check)):
        (tmp_path / name).write_bytes((text + "[ascend_context]\nprovider=ge\n").encode(encoding))
        assert_refused(check(tmp_path / name), 2, f"{tmp_path / name}:1: ", "UTF-")


def test_a_byte_order_mark_doesn_t_lose_the_first_section(server):
    """mindspore_lite would lose it: so it also gets the file's content from Python."""
    text = "[ascend_context]\nrank_table_file=rank_table.json\nparameter_as_refdata=all\n"
    server.config.write_text(text, encoding="utf-8-sig")
    assert config.options(str(server.config)) == {
        "ascend_context": {"rank_table_file": str(server.folder / "rank_table.json"), "parameter_as_refdata": "all"}
    }
    done = server.run()
    assert done.returncode == 0, done.stderr
    assert '"parameter_as_refdata": "all"' in (server.calls / "rank1.jsonl").read_text()


def test_lines_that_end_with_cr_alone_are_refused(tmp_path):
    (tmp_path / "config.ini").write_bytes(b"[ascend_context]\rprovider=ge\r")
    assert_refused(configuration(tmp_path / "config.ini"), 2, "config.ini:1: ", "CR")


def test_a_language_model_s_options_and_those_of_later_versions(tmp_path):
    for name in ("a2", "dynamic"):
        done = configuration(CASES / "11-config-llm" / f"{name}.ini")
        assert (done.returncode, done.stderr) == (0, ""), name
    path = tmp_path / "config.ini"
    path.write_text("[ascend_context]\nflash_graph=1\n[speculative]\nlength=4\n[ge_graph_options]\nstream_num=2\n")
    done = configuration(path)
    assert done.returncode == 0
    assert "[speculative] length=4\n" in done.stdout
    assert [name for name in ("flash_graph", "[speculative]", "stream_num") if name in done.stderr] == [
        *("flash_graph", "[speculative]", "stream_num")
    ]
    path.write_text("[ascend_context]\nrank_table_fil=x.json\n")
    assert_refused(configuration(path), 2, "config.ini:2: ", "rank_table_file")
