"""Read and check the configuration file of Ascend ranks before any of them starts.

    python3 ascend/config.py config_file.ini

mindspore_lite silently ignores what it doesn't know: with a misspelt rank_table_file, ranks never find each other. So
sections and keys are compared with those that it reads: one that looks like a misspelling is refused; any other is
noted, as a later version may have it. The grammar is that of its parser (config_file.cc): `[section]` or `key=value`
on each line, split at the first =; comments on lines of their own that begin with #; quotes are part of the value; of
two equal sections or keys the first counts.
"""

import os
import sys

if __name__ == "__main__":  # started by its path, Python would look for modules in this folder instead of the suite's
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse
import difflib
import re

import ranks
from ascend import Refused, table, text

KEYS = {
    "ascend_context": (
        *("rank_table_file", "provider", "model_cache_dir", "model_cache_mode", "parameter_as_refdata"),
        *("variable_weights_file", "variable_weights_list", "ge_variable_memory_max_size", "ge_graph_memory_max_size"),
        *("precision_mode", "mixprecision_list_path", "profiling_config_file", "dump_config_file", "max_batch_size"),
        *("max_seq_length", "max_weight_batch", "enable_custom_op", "plugin_custom_ops", "aoe_mode"),
    ),
    "model_file": ("mindir_path",),
}
CANN = ("ge_global_options", "ge_session_options", "ge_graph_options")  # whose keys CANN reads: ge.exec.precision_mode
OPTIONS = (  # some of them; without ge. they would be others
    *("ge.externalWeight", "ge.inputShape", "ge.dynamicDims", "ge.dynamicNodeType", "ge.deterministic"),
    *("ge.exec.precision_mode", "ge.exec.hcclExecuteTimeOut", "ge.exec.staticMemoryPolicy", "ge.exec.rankTableFile"),
)
OTHERS = (  # sections of other providers and devices, which aren't checked, as quotes are right in some of them
    *("acl_build_options", "acl_init_options", "acl_option_cfg_param", "aoe_global_options", "aoe_tuning_options"),
    *("common_context", "execution_plan", "gpu_context", "inner_common", "ms_cache", "weight"),
)


class Section(dict):
    """{key: value} of a section; `line` is where it begins."""

    def __init__(self, line):
        super().__init__()
        self.line = line


def read(path):
    """Return {section: {key: value}} of a configuration file. Raises Refused, with the line's number, if mindspore_lite
    would skip what is written there or read it differently than it was meant."""
    sections, section = {}, None
    for number, line in enumerate(text.read(path).split("\n"), 1):
        where, line = f"{path}:{number}: ", line.strip(" \t")
        if "\r" in line:
            raise Refused(f"{where}lines end with CR alone, and mindspore_lite reads them as one: end them with LF")
        if line.startswith("#"):
            if "variable_weights_file" in line:  # mindspore_lite 2.3 and later looks for this word in every line
                raise Refused(f"{where}variable_weights_file in a comment is read as the option: remove it")
        elif line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            _near(f"{where}section [{section}]", section, [*KEYS, *CANN, *OTHERS], 0.6)
            if section in sections:
                raise Refused(f"{where}section [{section}] appears twice, and only the first counts: merge them")
            sections[section] = Section(number)
        elif line.startswith(";"):
            raise Refused(f"{where}comments begin with #, not with ;")
        elif line and section is None:
            raise Refused(f"{where}{line}: stands before any [section]: put it into one")
        elif line:
            _option(where, line, section, sections[section])
    return sections


def _option(where, line, name, section):
    """Put the key and the value of a line into the section called `name`, or raise Refused."""
    key, equals, value = (part.strip() for part in line.partition("="))
    if name not in KEYS and name not in CANN:
        section.setdefault(key, value)
        return
    if not equals or not key:
        raise Refused(f"{where}{line}: neither [section] nor key=value: correct it or make it a comment (#)")
    if name in KEYS:
        _near(f"{where}key {key} in [{name}]", key, KEYS[name], 0.7)
    for option in (f"ge.{key}", f"ge.exec.{key}"):
        if option in OPTIONS:
            raise Refused(f"{where}key {key} in [{name}]: CANN's options begin with ge.: write {option}")
    if key in section:
        raise Refused(f"{where}{key} appears twice in [{name}], and only the first counts: remove one")
    if not value:
        raise Refused(f"{where}{key} has no value: give it one or make it a comment (#)")
    if value[0] in "\"'" or value[-1] in "\"'":
        raise Refused(f"{where}{key}={value}: the quotes would be part of the value: remove them")
    if re.search(r"\s#", value):
        raise Refused(f"{where}{key}={value}: comments go on lines of their own")
    section[key] = value


def _near(what, name, known, similarity):
    """Raise Refused if a name isn't known, but looks like one that is."""
    near = [] if name in known else difflib.get_close_matches(name.lower(), known, 1, similarity)
    if near:
        raise Refused(f"{what} isn't read by mindspore_lite: did you mean {near[0]}?")


def notes(path):
    """Return a line for each section and key that no version up to 2.7 reads, as far as is known: "PATH:LINE: ..."."""
    found = []
    for name, section in read(path).items():
        if name not in (*KEYS, *CANN, *OTHERS):
            found.append(f"{path}:{section.line}: section [{name}]: mindspore_lite up to 2.7 doesn't read it")
        for key in section:
            if key not in KEYS.get(name, (key,)):
                found.append(f"{path}: key {key} in [{name}]: mindspore_lite up to 2.7 doesn't read it")
            if name in CANN and not key.startswith("ge."):
                found.append(f"{path}: key {key} in [{name}]: CANN's options begin with ge.")
    return found


def options(path):
    """Return what mindspore_lite on Ascend reads in a configuration file, {section: {key: value}}, for config_dict.

    rank_table_file is made absolute. All of the file is returned, as mindspore_lite itself misses the first section of
    a file that begins with a byte order mark. Raises Refused if it can't be used.
    """
    sections = {name: dict(section) for name, section in read(path).items() if name in KEYS or name in CANN}
    table_file = rank_table_file(path)
    if table_file:
        sections["ascend_context"]["rank_table_file"] = table_file
    return {name: section for name, section in sections.items() if section}


def rank_table_file(path):
    """Return the absolute path of the rank table that the configuration file `path` names; "" if it names none.

    A relative path begins in the configuration file's own folder. Raises Refused if it can't be used.
    """
    config = read(path)
    named = config.get("ascend_context", {}).get("rank_table_file", "")
    if "ge.exec.rankTableFile" in config.get("ge_global_options", {}):
        raise Refused(
            f"{path}: ge.exec.rankTableFile in [ge_global_options]: write rank_table_file in [ascend_context]"
        )
    provider = config.get("ascend_context", {}).get("provider", "ge")
    if provider != "ge":
        raise Refused(f"{path}: provider={provider}: on Ascend only ge runs distributed models: correct it")
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
        raise Refused(f"{path}: rank_table_file={named}: {absolute} must end in .json and contain it nowhere else")
    if other and os.path.realpath(other) != os.path.realpath(absolute):
        advice = "unset it or make them the same"
        raise Refused(f"{path}: rank_table_file={named}, but RANK_TABLE_FILE in the environment is {other}: {advice}")
    return absolute


def main():
    idea, usage = (__doc__ or "\n\n").split("\n\n")[:2]
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
        found = notes(file)
    except Refused as error:
        print(f"config.py: {error}", file=sys.stderr)
        return error.status
    print("".join(f"{note}\n" for note in found), end="", file=sys.stderr)
    for section, entries in read(file).items():
        for key, value in entries.items():
            print(f"[{section}] {key}={value}")
    print(f"rank table: {path or 'none: for one rank alone'}")
    return ranks.OK


if __name__ == "__main__":
    sys.exit(main())
