"""ascend/server.py: which of a rank table's servers this machine is."""

import json
import socket
import sys

import pytest
from conftest import ROOT, command, lines
from rank_tables import assert_written

from ascend import Refused, server
from ascend.make import make, merge

PROGRAM = ROOT / "ascend" / "rank_table.py"


def servers(*names, **host_ips):
    table = merge([make([0], {0: f"192.1.27.{n}"}, name) for n, name in enumerate(names)])
    for entry in table["server_list"]:
        if entry["server_id"] in host_ips:
            entry["host_ip"] = host_ips[entry["server_id"]]
    return table


@pytest.fixture
def here(monkeypatch):
    """A machine with two addresses, called "there", that knows the names of three machines."""
    names = {"mine": "10.0.0.7", "other": "10.0.0.9", "also": "10.0.0.8"}

    def resolve(name, *_):
        if name not in names:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names[name], 0))]

    monkeypatch.setattr(server, "addresses", lambda: ["10.0.0.7", "10.0.0.8"])
    monkeypatch.setattr(socket, "gethostname", lambda: "there")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize(
    "table, expected",
    [
        (servers("10.0.0.6", "10.0.0.7"), "10.0.0.7"),
        (servers("10.0.0.8", "10.0.0.6"), "10.0.0.8"),
        (servers("here", "there"), "there"),
        (servers("node_0", "node_1", node_1="10.0.0.8", node_0="10.0.0.1"), "node_1"),
        (servers("other", "mine"), "mine"),
        (servers("172.16.0.1"), "172.16.0.1"),
    ],
)
def test_this_machine_s_server_is_found(here, table, expected):
    assert server.local_server(table) == expected


def test_the_server_that_is_given_is_taken_if_it_is_there(here):
    table = servers("10.0.0.6", "10.0.0.7")
    assert server.local_server(table, "10.0.0.6") == "10.0.0.6"
    with pytest.raises(Refused, match=r"--server_id 10\.0\.0\.9: .*10\.0\.0\.6, 10\.0\.0\.7"):
        server.local_server(table, "10.0.0.9")
    with pytest.raises(Refused, match="--server_id 10.0.0.7"):
        server.local_server(servers("10.0.0.6"), "10.0.0.7")


@pytest.mark.parametrize(
    "table",
    [servers("10.0.0.1", "other"), servers("10.0.0.7", "10.0.0.8"), servers("mine", "also"), servers("x", "x.")],
)
def test_no_server_or_several_is_an_error_with_all_names(here, table):
    with pytest.raises(Refused) as caught:
        server.local_server(table)
    for text in (*(entry["server_id"] for entry in table["server_list"]), "10.0.0.7", "10.0.0.8", "--server_id"):
        assert text in str(caught.value)


def test_addresses_are_those_of_this_machine():
    for address in server.addresses():
        with socket.socket() as listener:  # it can only bind an address of this machine
            listener.bind((address, 0))
        assert not address.startswith("127.")


def test_addresses_are_read_from_the_kernel_s_routes(tmp_path, monkeypatch):
    path = tmp_path / "fib_trie"
    monkeypatch.setattr(server, "LOCAL_ROUTES", str(path))
    path.write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n        |-- 127.0.0.0\n"
        "           /8 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 192.0.2.0\n"
        "        /24 link UNICAST\n     |-- 192.0.2.12\n        /32 host LOCAL\n     |-- 10.9.8.7\n"
        "        /32 link UNICAST\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n"
    )
    assert server.addresses() == ["10.9.8.7", "192.0.2.12"]
    path.unlink()
    assert server.addresses() == []


def namespaces():
    try:
        return command("unshare", "-rn", "ip", "link", "set", "lo", "up").returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not namespaces(), reason="needs unshare -rn and ip")
def test_in_a_network_namespace_without_dns(tmp_path):
    (tmp_path / "rank_table.json").write_text(json.dumps(servers("node_0", "10.9.8.7")))
    write = f"{sys.executable} {PROGRAM} --devices 0 --no_device_ip"
    program = 'from ascend import server, table; print(server.local_server(table.load("rank_table.json")))'
    find = f"{sys.executable} -c '{program}'"
    script = (
        f"ip link set lo up; {write}; ip address add 10.9.8.7/32 dev lo; {write} > 1.json && {find}; "
        f"ip address add 10.9.8.6/32 dev lo; {write}"
    )
    done = command("unshare", "-rn", "sh", "-c", script, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.stdout == "10.9.8.7\n", done.stderr
    assert_written(json.loads((tmp_path / "1.json").read_text()), [(0, "10.9.8.7", 0, None, None)])
    refused = lines(done.stderr)  # with no address, and with two and no default route
    assert len(refused) == 2
    assert "no IPv4 address" in refused[0]
    assert "10.9.8.6, 10.9.8.7" in refused[1]
    assert all("--server_id" in line for line in refused)
