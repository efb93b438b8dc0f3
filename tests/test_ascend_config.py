"""ascend/config.py: what it finds wrong in a config_file.ini, before any rank starts."""

import sys

import pytest
from conftest import ROOT, assert_refused, command
from test_ascend import Server

PROGRAM = ROOT / "ascend" / "config.py"


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    made.table(2)
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


@pytest.mark.parametrize("text, said", [("", "rank_table.json: is empty"), ("{", "isn't JSON"), ("{}", "version")])
def test_the_configurations_check_reads_its_rank_table_too(server, text, said):
    (server.folder / "rank_table.json").write_text(text)
    assert_refused(command(sys.executable, PROGRAM, server.config), 2, "rank_table.json: ", said)


def test_run_sh_looks_at_the_configuration_first(server):
    server.config.write_text("[ascend_context]\nrank_table_path=rank_table.json\n")
    assert_refused(server.run(), 2, "key rank_table_path in [ascend_context]", "did you mean rank_table_file?")
    assert not list(server.calls.iterdir())


def test_every_option_of_the_shipped_configuration_is_known(server):
    """With all of them switched on, too; and the double, whose list is another's, takes the file."""
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
