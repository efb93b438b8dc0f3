"""The double of mindspore_lite for Ascend is as strict as its text says."""

import json

import nets
from conftest import ROOT
from double_jobs import BUILD, assert_raised, run_lines, table


def test_the_context_takes_what_the_real_one_means_and_nothing_else():
    lines, _ = run_lines("""
        context = made()
        assert isinstance(type(context.ascend).rank_id, property) and context.ascend.rank_id == 0
        context.ascend.rank_id = "0"                  # TypeError: ascend_rank_id must be int, but got
        context.ascend.device_id = 1.0                # TypeError: ascend_device_id must be int, but got
        context.ascend.device_id = -1                 # ValueError: ascend_device_id must be a non-negative int.
        context.ascend.provider = None                # TypeError: ascend_provider must be str
        context.ascend.provider = "GE"                # ValueError: ascend_provider
        context.ascend.precision_mode = "fp16"        # ValueError: ascend_precision_mode must be in [enforce_fp32
        context.ascend.rankid = 0                     # AttributeError
        context.ascend.rankid                         # AttributeError
        context.targets = ["Ascend"]                  # AttributeError
        context.target = "Ascend"                     # TypeError: target must be list
        context.target = ["npu"]                      # ValueError: target elements must be in
        from mindspore_lite.context import Context    # ModuleNotFoundError
        Tensor("x")                                   # TypeError
        Model().predict([])                           # RuntimeError: Model has not been called Build
        Model().get_inputs()                          # RuntimeError: Model has not been called Build
        context.cpu.thread_num = 2; context.target = ["ASCEND"]; assert context.target == ["ASCEND"]
    """)
    assert_raised(lines)


def test_what_can_not_be_built(tmp_path):
    path = f'"{ROOT}/models/Matmul1.mindir"'
    config = table(tmp_path, ranks=3)
    for name, text in {
        "quotes": f'[ascend_context]\nrank_table_file="{tmp_path}/rank_table.json"\n',
        "misspelt": f"[ascend_context]\nrank_table={tmp_path}/rank_table.json\n",
        "section": f"[ascend]\nrank_table_file={tmp_path}/rank_table.json\n",
        "twice": "[ascend_context]\nprovider=ge\n[ascend_context]\nprovider=ge\n",
        "relative": "[ascend_context]\nrank_table_file=rank_table.json\n",
        "ini": f"[ascend_context]\nrank_table_file={config}\n",
    }.items():
        (tmp_path / f"{name}.ini").write_text(text)
    files = [f'build({path}, r, "{tmp_path}/{name}.ini") # {BUILD}' for name in ("quotes", "misspelt", "section")]
    files += [f'build({path}, r, "{tmp_path}/{name}.ini") # {BUILD}' for name in ("twice", "relative", "ini")]
    other = f'{{"ascend_context": {{"rank_table_file": "{tmp_path}/none.json"}}}}'
    lines, error = run_lines(
        "\n".join(
            [
                'r = made(provider="ge", rank_id=1, device_id=1)',
                'build("none.mindir", r) # RuntimeError: build_from_file failed, model_path does not exist!',
                f'build({path}, r, "none.ini") # RuntimeError: build_from_file failed, config_path does not exist!',
                f"build({path}, r, None) # TypeError: config_path must be str",
                f"build({path}, r, 'x', {{1: 2}}) # RuntimeError",
                f"build({path}, r, '', {{'ascend_context': {{'provider': 1}}}}) # TypeError: config_dict_value_value",
                *(line.replace("# build", "# RuntimeError: build") for line in files),
                f"build({path}, r) # RuntimeError: {BUILD}",
                f'build({path}, r, "{config}", {other}) # RuntimeError: {BUILD}',
                f'build({path}, made(rank_id=1, device_id=1), "{config}") # RuntimeError: {BUILD}',
                f'build({path}, made(provider="ge", device_id=1), "{config}") # RuntimeError: {BUILD}',
                f'build({path}, made(provider="ge", rank_id=1, device_id=2), "{config}") # RuntimeError: {BUILD}',
                f'build({path}, made(provider="ge", rank_id=3, device_id=3), "{config}") # RuntimeError: {BUILD}',
            ]
        )
    )
    assert_raised(lines)
    words = [
        "quotes",
        "rank_table: nothing reads",
        "[ascend]: nothing",
        "second section",
        "No such file",
        "end in .json",
    ]
    words += ["no hccl mode", "none.json", "provider ''", "rank_id isn't set", "config devId[1],but local devId[2]"]
    errors = [line for line in error.splitlines() if line.startswith("[ERROR]")]
    for word, line in zip([*words, "rankId[3] is invalid"], errors):
        assert word in line
    assert len(errors) == len(words) + 1


def test_rank_tables_that_hccl_refuses(tmp_path):
    cases = {
        "status 'initializing'": {"status": "initializing"},
        "server_count 2": {"server_count": "2"},
        "has to be a string": {"server_count": 1},
        "version '2.0'": {"version": "2.0"},
        "aren't 0, 1": {"server_list": [{"server_id": "a", "device": [{"device_id": "1", "rank_id": "1"}]}]},
    }
    build = f'build("{ROOT}/models/Matmul1.mindir", made(provider="ge", rank_id=1, device_id=1), "%s") # %s'
    folders = [tmp_path / str(index) for index in range(len(cases))]
    for folder in folders:
        folder.mkdir()
    configs = [table(folder, **changes) for folder, changes in zip(folders, cases.values())]
    lines, error = run_lines("\n".join(build % (config, f"RuntimeError: {BUILD}") for config in configs))
    assert_raised(lines)
    errors = [line for line in error.splitlines() if line.startswith("[ERROR]")]
    assert len(errors) == len(cases)
    for word, line in zip(cases, errors):
        assert word in line


def test_other_rank_tables_and_group_sizes(tmp_path):
    config, model = table(tmp_path, ranks=1), ROOT / "models" / "Matmul0.mindir"
    build = f'build("{model}", made(provider="ge", rank_id=0), "{config}") # RuntimeError: {BUILD}'
    assert "2 ranks, the rank table has 1" in run_lines(build)[1]
    lines, error = run_lines(build, RANK_TABLE_FILE="/etc/other.json")
    assert_raised(lines)
    assert "RANK_TABLE_FILE=/etc/other.json in the environment" in error


def test_model_groups(tmp_path):
    config, fixtures = table(tmp_path, 1), ROOT / "tests" / "fixtures"
    for name in ("external", "more"):
        text = config.read_text() + "[ge_session_options]\nge.externalWeight=1\n"
        (tmp_path / f"{name}.ini").write_text(text + ("ge.x=1\n" if name == "more" else ""))
    mlp = [f'"{fixtures}/mlp-{kind}/1/Net0.mindir"' for kind in ("all_reduce", "reduce_scatter")]
    lines, error = run_lines(
        f"""
        context = made(provider="ge", rank_id=0)
        assert [flag.value for flag in ModelGroupFlag] == [1, 2]
        ModelGroup(1)                                       # RuntimeError
        ModelGroup().add_model([Model()])                   # RuntimeError: ModelGroup's add model failed.
        group = ModelGroup(ModelGroupFlag.SHARE_WEIGHT)
        group.add_model(Model())                            # TypeError: models must be list/tuple
        group.add_model([])                                 # RuntimeError: models cannot be empty
        group.add_model([Model(), "x"])                     # TypeError: models element must be all str or Model
        group.cal_max_size_of_workspace(ModelType.MINDIR, context) # RuntimeError
        a, b, c, d, f = [Model() for _ in range(5)]; group.add_model([a, b, c, d, f])
        group.add_model([a])                                # RuntimeError: ModelGroup's add model failed.
        build({mlp[0]}, context, "{tmp_path}/external.ini", model=a)
        build({mlp[0]}, context, "{tmp_path}/more.ini", model=f) # RuntimeError: {BUILD}
        build({mlp[0]}, context, "{tmp_path}/external.ini", model=f) # RuntimeError: {BUILD}
        build({mlp[0]}, context, "{tmp_path}/external.ini", model=b)
        build("{fixtures}/shared/1/Net0.mindir", context, "{tmp_path}/external.ini", model=c)
        build({mlp[1]}, context, "{tmp_path}/external.ini", model=d) # RuntimeError: {BUILD}
        e = Model(); build({mlp[0]}, context, "{config}", model=e)
        ModelGroup(ModelGroupFlag.SHARE_WEIGHT).add_model([e]) # RuntimeError: ModelGroup's add model failed.
        build({mlp[0]}, context, "{config}", model=e)       # RuntimeError: {BUILD}
        build({mlp[0]}, made(provider="ge", rank_id=0, device_id=1), "{config}") # RuntimeError: {BUILD}
        """,
        ASCEND_DOUBLE_LOG=tmp_path,
    )
    assert_raised(lines)
    for word in ("Session options is not equal", "other values than in", "shares nothing", "the first model of the"):
        assert word in error
    log = [json.loads(line) for line in (tmp_path / "rank0.jsonl").read_text().splitlines()]
    shared = [entry["arguments"] for entry in log if entry["call"] == "shared"]
    nbytes = sum(array.nbytes for array in nets.weights("mlp-all_reduce").values())
    assert [arguments["bytes"] for arguments in shared] == [nbytes, 0]
    assert run_lines("ModelGroup  # NameError", ASCEND_DOUBLE_WITHOUT="ModelGroup")[0][0][1].startswith("NameError")
