"""What the engine reads before a model: the configuration, the rank table, the devices that this process sees."""

import json
import os

from mindspore_lite._engine import Refused

# sections that some back end of mindspore_lite reads, and the keys of [ascend_context] on GE's way
SECTIONS = {
    "ascend_context", "ge_global_options", "ge_session_options", "ge_graph_options", "common_context", "gpu_context",
    "model_file", "weight", "ms_cache", "execution_plan", "shared_thread_pool", "aoe_global_options",
    "aoe_tuning_options", "acl_option_cfg_param", "acl_init_options", "acl_build_options",
}  # fmt: skip
ASCEND_KEYS = {
    "rank_table_file", "provider", "model_cache_dir", "model_cache_mode", "parameter_as_refdata", "precision_mode",
    "variable_weights_file", "variable_weights_list", "ge_variable_memory_max_size", "ge_graph_memory_max_size",
    "mixprecision_list_path", "profiling_config_file", "dump_config_file", "max_batch_size", "max_seq_length",
    "enable_custom_op", "plugin_custom_ops", "op_attrs", "aoe_mode", "max_weight_batch", "stream_label_file",
}  # fmt: skip
SESSION_KEYS = {"model_cache_dir", "ge_variable_memory_max_size", "ge_graph_memory_max_size", "dump_config_file"}


def read_config(path):
    """Return {section: {key: value}} as the C++ parser reads the file; refuse what it would ignore.

    Except the first section of a file with a byte order mark: it is lost, as there, and a caller may pass it otherwise.
    """
    sections, section = {}, None
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    if lines and lines[0].startswith("\ufeff"):
        later = [number for number, line in enumerate(lines) if line.startswith("[")]
        lines[: later[0] if later else None] = [""] * (later[0] if later else len(lines))
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}: {line!r}"
        if not line or line[0] == "#":
            continue
        if line[0] == "[" and line[-1] == "]":
            section = line[1:-1]
            if section in sections:
                raise Refused(f"{where}: the second section of this name is ignored as a whole")
            sections[section] = {}
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if len(line) <= 2 or not equals or section is None:
            raise Refused(f"{where}: ignored: no key=value below a [section]")
        if key in sections[section]:
            raise Refused(f"{where}: the second value of this key is ignored")
        kept = section == "ascend_context" or section.startswith("ge_")  # others' readers take quotes off
        if kept and (value[:1] in ('"', "'") or " #" in value or not value):
            raise Refused(f"{where}: quotes and what follows a # on the same line are part of the value")
        sections[section][key] = value
    return sections


def check_config(config):
    """Refuse sections and keys that nothing reads: the real one ignores them, misspelt ones, too."""
    unknown = [f"[{section}]" for section in set(config) - SECTIONS]
    unknown += [f"[ascend_context] {key}" for key in set(config.get("ascend_context", {})) - ASCEND_KEYS]
    if unknown:
        raise Refused(f"{', '.join(sorted(unknown))}: nothing reads that")


def session_options(config, device_id):
    """Return the options that all models of a group must share: they are in one session of GE."""
    ascend = config.get("ascend_context", {})
    mine = {key: ascend[key] for key in SESSION_KEYS & set(ascend)}
    return {"ge.exec.device_id": device_id, **config.get("ge_session_options", {}), **mine}


def read_rank_table(path):
    """Return (text, {rank_id: device_id}) of an HCCL rank table; raise Refused as HCCL does, without its long waits."""
    if path.find(".json") != len(path) - len(".json"):
        raise Refused(f"rank table {path}: the path has to end in .json and to have that nowhere else")
    try:
        with open(path) as file:  # relative to the process's folder, not to that of the configuration file
            text = file.read()
        table = json.loads(text)
    except (OSError, ValueError) as error:
        raise Refused(f"rank table {path}: {error}") from None
    try:
        if table["status"] != "completed":
            raise Refused(f"rank table {path}: status {table['status']!r}: HCCL waits 30 minutes for 'completed'")
        if table["version"] not in ("1.0", "1.2"):
            raise Refused(f"rank table {path}: version {table['version']!r}")
        servers = table["server_list"]
        devices = [device for server in servers for device in server["device"]]
        places = [(server["server_id"], device["device_id"]) for server in servers for device in server["device"]]
        ranks = {int(device["rank_id"]): int(device["device_id"]) for device in devices}
        values = [device[key] for device in devices for key in ("rank_id", "device_id")]
        values.append(table.get("server_count", ""))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"rank table {path}: {type(error).__name__} {error}") from None
    if not all(isinstance(value, str) for value in values):
        raise Refused(f"rank table {path}: every value has to be a string")
    if table.get("server_count", str(len(servers))) != str(len(servers)):
        raise Refused(f"rank table {path}: server_count {table['server_count']}, but {len(servers)} in server_list")
    if len({server["server_id"] for server in servers}) != len(servers) or len(set(places)) != len(places):
        raise Refused(f"rank table {path}: a server or a device is there twice")
    if sorted(ranks) != list(range(len(devices))):
        numbers = [device["rank_id"] for device in devices]
        raise Refused(f"rank table {path}: rank ids {numbers} aren't 0, 1, ... once each")
    if max(ranks.values()) > (15 if table["version"] == "1.2" else 7):
        raise Refused(f"rank table {path}: a device_id that no server has")
    if len(servers) > 1 and not all(device.get("device_ip") for device in devices):
        raise Refused(f"rank table {path}: several servers, and a device without device_ip")
    return text, ranks


def physical(device_id):
    """Return the number in rank tables of the device that the process knows as `device_id`.

    Its files in LAUNCH_DEV (for /dev) are what a container has mounted, counted from 0 there; without them, all 16.
    """
    folder = os.environ.get("LAUNCH_DEV", "")
    names = os.listdir(folder) if folder else []
    mounted = sorted(int(name[7:]) for name in names if name.startswith("davinci") and name[7:].isdigit())
    mounted = mounted or list(range(16))
    visible = []
    for text in os.environ.get("ASCEND_RT_VISIBLE_DEVICES", "").split(","):
        if not text.isdigit() or int(text) >= len(mounted):  # CANN reads no further
            break
        visible.append(mounted[int(text)])
    visible = visible if os.environ.get("ASCEND_RT_VISIBLE_DEVICES") else mounted
    if device_id >= len(visible):
        raise Refused(f"device {device_id}: this process sees {len(visible)}")
    return visible[device_id]
