"""Read and check the configuration file of Ascend ranks before any of them starts.

    python3 ascend/config.py config_file.ini

mindspore_lite ignores what it doesn't know without a word: a misspelt rank_table_file is a job whose ranks never find
each other. So sections and keys are compared here with those that it reads. The grammar is that of its parser: one
`[section]` or `key=value` a line, split at the first =, comments on lines of their own that begin with #, quotes a part
of the value, of two equal sections or keys the first counts.
"""

import os
import sys

if __name__ == "__main__":  # started by its path, Python looks for modules in this folder: in the suite's instead
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse
import difflib
import re

from ascend import Refused, table

KEYS = {
    "ascend_context": (
        *("rank_table_file", "provider", "model_cache_dir", "model_cache_mode", "parameter_as_refdata"),
        *("variable_weights_file", "variable_weights_list", "ge_variable_memory_max_size", "ge_graph_memory_max_size"),
        *("precision_mode", "mixprecision_list_path", "profiling_config_file", "dump_config_file", "max_batch_size"),
        *("max_seq_length", "enable_custom_op", "plugin_custom_ops", "aoe_mode"),
    ),
    "model_file": ("mindir_path",),
}
CANN = ("ge_global_options", "ge_session_options", "ge_graph_options")  # whose keys CANN reads: ge.exec.precision_mode
OTHERS = (  # sections of other providers and devices: their keys aren't looked at
    *("acl_build_options", "acl_init_options", "acl_option_cfg_param", "aoe_global_options", "aoe_tuning_options"),
    *("common_context", "execution_plan", "gpu_context", "inner_common", "ms_cache", "weight"),
)


def read(path):
    """Return {section: {key: value}} of a configuration file. Raises Refused, with the line's number, where
    mindspore_lite would skip what is written there or read something else than was meant."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    sections, section = {}, None
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}: "
        key, equals, value = (each.strip() for each in line.partition("="))
        if line.startswith("#"):
            if "variable_weights_file" in line:  # mindspore_lite 2.3 and later looks for this word in every line
                raise Refused(f"{where}variable_weights_file in a comment is taken for the option: take it out")
        elif line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            _check_name(f"{where}section [{section}]", section, [*KEYS, *CANN, *OTHERS])
            if section in sections:
                raise Refused(f"{where}section [{section}] is there twice, and the first counts: put them together")
            sections[section] = {}
        elif line.startswith(";"):
            raise Refused(f"{where}comments begin with #, not with ;")
        elif line and section is None:
            raise Refused(f"{where}{line}: stands before any [section]: put it into one")
        elif line:
            if not equals or not key:
                raise Refused(f"{where}{line}: neither [section] nor key=value: correct it or make it a comment (#)")
            if section in KEYS:
                _check_name(f"{where}key {key} in [{section}]", key, KEYS[section])
            elif section in CANN and not key.startswith("ge."):
                raise Refused(f"{where}key {key} in [{section}]: CANN's options begin with ge.: write ge.{key}?")
            if key in sections[section]:
                raise Refused(f"{where}{key} is there twice in [{section}], and the first counts: take one out")
            if not value:
                raise Refused(f"{where}{key} has no value: give it one or make it a comment (#)")
            if value[0] in "\"'" or value[-1] in "\"'":
                raise Refused(f"{where}{key}={value}: the quotes would be part of the value: take them out")
            if re.search(r"\s#", value):
                raise Refused(f"{where}{key}={value}: comments stand on lines of their own")
            sections[section][key] = value
    return sections


def _check_name(what, name, known):
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
        advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise Refused(f"{what} is none that mindspore_lite reads: {advice}")


def rank_table_file(path):
    """Return the absolute path of the rank table that the configuration file `path` names; "" if it names none.

    A relative one is taken from the configuration file's own folder. Raises Refused where it can't be used.
    """
    config = read(path)
    named = config.get("ascend_context", {}).get("rank_table_file", "")
    if "ge.exec.rankTableFile" in config.get("ge_global_options", {}):
        raise Refused(
            f"{path}: ge.exec.rankTableFile in [ge_global_options]: write rank_table_file in [ascend_context]"
        )
    provider = config.get("ascend_context", {}).get("provider", "ge")
    if provider != "ge":
        raise Refused(f"{path}: provider={provider}: of Ascend's, ge alone runs distributed models: correct it")
    other = os.environ.get("RANK_TABLE_FILE", "")
    if other and not named:
        message = f"RANK_TABLE_FILE in the environment is {other}, which mindspore_lite doesn't read"
        raise Refused(f"{path}: names no rank table, but {message}: write rank_table_file={other} in it")
    if not named:
        return ""
    absolute = os.path.join(os.path.dirname(os.path.abspath(path)), named)
    if not os.path.isfile(absolute):
        advice = "python3 ascend/rank_table.py --devices 0,1 > rank_table.json writes one"
        raise Refused(f"{path}: rank_table_file={named}: no such file ({absolute}): {advice}")
    if absolute.find(".json") != len(absolute) - len(".json"):  # HCCL looks for the first .json in the path
        raise Refused(f"{path}: rank_table_file={named}: {absolute} must end in .json and have it nowhere else")
    if other and os.path.realpath(other) != os.path.realpath(absolute):
        advice = "unset it or make them the same"
        raise Refused(f"{path}: rank_table_file={named}, but RANK_TABLE_FILE in the environment is {other}: {advice}")
    return absolute


def main():
    idea, usage = __doc__.split("\n\n")[:2]
    parser = argparse.ArgumentParser(
        description=idea,
        epilog=f"example:\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="such as config_file.ini")
    file = parser.parse_args().file
    try:
        path = rank_table_file(file)
        if path:
            table.load(path)
    except Refused as error:
        print(f"config.py: {error}", file=sys.stderr)
        return error.status
    for section, options in read(file).items():
        for key, value in options.items():
            print(f"[{section}] {key}={value}")
    print(f"rank table: {path or 'none: for one rank alone'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
