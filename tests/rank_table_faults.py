"""Break one thing in a rank table: each function does so and returns the JSON path that has to be named."""


def device_of(table, pick):
    server = pick(range(len(table["server_list"])))
    device = pick(range(len(table["server_list"][server]["device"])))
    return table["server_list"][server]["device"][device], f"server_list[{server}].device[{device}]"


def two_devices(table, pick):
    """Return one server's first device, and another one of it with its path."""
    server = pick(range(len(table["server_list"])))
    devices = table["server_list"][server]["device"]
    other = pick(range(1, len(devices)))
    return devices[0], devices[other], f"server_list[{server}].device[{other}]"


def without_key(key):
    def broken(table, pick):
        del table[key]
        return key

    return broken


def with_value(key, *values):
    def broken(table, pick):
        table[key] = pick(values)
        return key

    return broken


def in_server(key, *values):
    """Write one of the values, or leave the key out if there are none."""

    def broken(table, pick):
        index = pick(range(len(table["server_list"])))
        table["server_list"][index].pop(key, None)
        if values:
            table["server_list"][index][key] = pick(values)
        return f"server_list[{index}].{key}"

    return broken


def in_device(key, *values):
    def broken(table, pick):
        device, path = device_of(table, pick)
        device.pop(key, None)
        if values:
            device[key] = pick(values)
        return f"{path}.{key}"

    return broken


def no_ip(*values):
    """Without a host_ip, too: with one, it depends on the product."""

    def broken(table, pick):
        for server in table["server_list"]:
            server.pop("host_ip", None)
        return in_device("device_ip", *values)(table, pick)

    return broken


def same_in_server(key):
    def broken(table, pick):
        first, other, path = two_devices(table, pick)
        other[key] = first[key]
        return f"{path}.{key}"

    return broken


def same_everywhere(key):
    def broken(table, pick):
        other = pick(range(1, len(table["server_list"])))
        table["server_list"][other]["device"][-1][key] = table["server_list"][0]["device"][0][key]
        return f"server_list[{other}].device[{len(table['server_list'][other]['device']) - 1}].{key}"

    return broken


def number_for_string(table, pick):
    device, path = device_of(table, pick)
    key = pick(sorted(set(device) & {"device_id", "rank_id", "device_port", "super_device_id"}))
    device[key] = int(device[key])
    return f"{path}.{key}"


def rank_gap(table, pick):
    total = sum(len(server["device"]) for server in table["server_list"])
    device, path = device_of(table, pick)
    device["rank_id"] = str(total + pick(range(3)))
    return f"{path}.rank_id"


def ranks_across_servers(table, pick):
    """Swap the lowest rank of all with the highest, which is on another server."""
    devices = [device for server in table["server_list"] for device in server["device"]]
    devices.sort(key=lambda device: int(device["rank_id"]))
    devices[0]["rank_id"], devices[-1]["rank_id"] = devices[-1]["rank_id"], devices[0]["rank_id"]
    server = next(n for n, server in enumerate(table["server_list"]) if devices[0] in server["device"])
    return f"server_list[{server}].device"


def same_server(table, pick):
    other = pick(range(1, len(table["server_list"])))
    table["server_list"][other]["server_id"] = table["server_list"][0]["server_id"]
    return f"server_list[{other}].server_id"


def in_pod(key, *values):
    def broken(table, pick):
        index = pick(range(len(table["super_pod_list"])))
        table["super_pod_list"][index].pop(key)
        if values:
            table["super_pod_list"][index][key] = pick(values)
        return f"super_pod_list[{index}].{key}"

    return broken


def same_pod(table, pick):
    table["super_pod_list"][1]["super_pod_id"] = table["super_pod_list"][0]["super_pod_id"]
    return "super_pod_list[1].super_pod_id"


def server_in_two_pods(table, pick):
    table["super_pod_list"][1]["server_list"].append(dict(table["super_pod_list"][0]["server_list"][0]))
    return f"super_pod_list[1].server_list[{len(table['super_pod_list'][1]['server_list']) - 1}].server_id"


def server_of_a_pod_unknown(table, pick):
    table["super_pod_list"][0]["server_list"].append({"server_id": "elsewhere"})
    return f"super_pod_list[0].server_list[{len(table['super_pod_list'][0]['server_list']) - 1}].server_id"


def server_in_no_pod(table, pick):
    for pod in table["super_pod_list"]:
        pod["server_list"] = [server for server in pod["server_list"] if server["server_id"] != "node_0"] or [
            {"server_id": "x"}
        ]
    return "server_list[0].server_id"


def pods_mixed(table, pick):
    """Move the last server into the first one's SuperPod; a server of another SuperPod is between them."""
    for pod in table["super_pod_list"]:
        pod["server_list"] = []
    for number, server in enumerate(table["server_list"]):
        table["super_pod_list"][number % 2]["server_list"].append({"server_id": server["server_id"]})
    return "server_list[2]"


NOT_NUMBERS = ("", "-1", "1.0", " 1", "one", "4294967295", "٣", 1, None, [], {})
NOT_IPS = (
    "",
    "192.1.27",
    "192.1.27.256",
    "192.01.27.6",
    "192.1.27.6/24",
    " 192.1.27.6",
    "fe80::1%eth0",
    3221232390,
    None,
)
NOT_PORTS = ("0", "65536", "", 16666, "1e3")
NOT_LISTS = ([], {}, "", None, "node_0")
PODS = {"version": "1.2", "pods": 1}
MUTATIONS = {
    "version missing": (without_key("version"), {}),
    "version unknown": (with_value("version", "2.0", "1", "", "v1.0", 1.0, None), {}),
    "status missing": (without_key("status"), {}),
    "status not completed": (with_value("status", "initializing", "Completed", "", True, None), {}),
    "server_count missing": (without_key("server_count"), {"version": "1.0"}),
    "server_count wrong": (with_value("server_count", "0", "5", "17"), {}),
    "server_count no number": (with_value("server_count", *NOT_NUMBERS), {}),
    "server_list missing": (without_key("server_list"), {}),
    "server_list no list": (with_value("server_list", *NOT_LISTS), {}),
    "server_id missing": (in_server("server_id"), {}),
    "server_id no name": (in_server("server_id", "", "x" * 65, "a\nb", "\ud800", 1, None), {}),
    "server twice": (same_server, {"servers": 2}),
    "host_ip malformed": (in_server("host_ip", *NOT_IPS, "fd00::1"), {}),
    "device missing": (in_server("device"), {}),
    "device no list": (in_server("device", *NOT_LISTS), {}),
    "device_id missing": (in_device("device_id"), {}),
    "device_id no number": (in_device("device_id", *NOT_NUMBERS), {}),
    "device twice on a server": (same_in_server("device_id"), {"devices": 2}),
    "rank_id missing": (in_device("rank_id"), {}),
    "rank_id no number": (in_device("rank_id", *NOT_NUMBERS), {}),
    "rank twice on a server": (same_in_server("rank_id"), {"devices": 2}),
    "rank twice on two": (same_everywhere("rank_id"), {"servers": 2}),
    "rank gap": (rank_gap, {}),
    "ranks across servers": (ranks_across_servers, {"servers": 2, "devices": 2}),
    "device_ip missing on several servers": (no_ip(), {"version": "1.0", "servers": 2}),
    "device_ip empty on several servers": (no_ip(""), {"version": "1.0", "servers": 2}),
    "device_ip missing on several servers of 1.2": (
        no_ip(),
        {"version": "1.2", "servers": 2, "pods": 0},
    ),
    "device_ip missing in several SuperPods": (no_ip(), {"version": "1.2", "pods": 2}),
    "device_ip malformed": (in_device("device_ip", *NOT_IPS[1:]), {}),
    "device_ip twice": (same_everywhere("device_ip"), {"version": "1.0", "servers": 2}),
    "backup_device_ip malformed": (in_device("backup_device_ip", *NOT_IPS[1:]), {}),
    "device_port no port": (in_device("device_port", *NOT_PORTS), {}),
    "host_port no port": (in_device("host_port", *NOT_PORTS), {}),
    "backup_device_port no port": (in_device("backup_device_port", *NOT_PORTS), {}),
    "number for a string": (number_for_string, {}),
    "super_device_id missing": (in_device("super_device_id"), PODS),
    "super_device_id no number": (in_device("super_device_id", *NOT_NUMBERS), PODS),
    "super_device_id no number, no SuperPod": (in_device("super_device_id", *NOT_NUMBERS), {**PODS, "pods": 0}),
    "super_device_id twice": (same_in_server("super_device_id"), {**PODS, "devices": 2}),
    "super_device_id twice on two": (same_everywhere("super_device_id"), {**PODS, "servers": 2, "one_pod": True}),
    "super_pod_list no list": (with_value("super_pod_list", *NOT_LISTS), PODS),
    "super_pod_id missing": (in_pod("super_pod_id"), PODS),
    "super_pod_id no name": (in_pod("super_pod_id", "", 0, None), PODS),
    "SuperPod twice": (same_pod, {**PODS, "pods": 2}),
    "SuperPod without servers": (in_pod("server_list"), PODS),
    "SuperPod with no list": (in_pod("server_list", *NOT_LISTS), PODS),
    "server in two SuperPods": (server_in_two_pods, {**PODS, "pods": 2}),
    "server of a SuperPod unknown": (server_of_a_pod_unknown, PODS),
    "server in no SuperPod": (server_in_no_pod, PODS),
    "SuperPods mixed": (pods_mixed, {**PODS, "pods": 2, "servers": 3}),
}
