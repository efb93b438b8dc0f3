"""Which server this machine is: its addresses, and which of a rank table's servers has them."""

import contextlib
import re
import socket

from ascend import Refused

LOCAL_ROUTES = "/proc/net/fib_trie"


def addresses():
    """Return this machine's IPv4 addresses, without loopback (127.x is every machine's), sorted; asks no DNS."""
    try:
        with open(LOCAL_ROUTES) as file:  # "|-- 10.0.0.1", and in a line under it "/32 host LOCAL"
            found = set(re.findall(r"\|-- (\S+)(?:\n\s*/.*)*?\n\s*/32 host LOCAL", file.read()))
    except OSError:  # not Linux, or a sandbox without it: --server_id remains
        return []
    return sorted((address for address in found if not address.startswith("127.")), key=socket.inet_aton)


def own_address():
    """Return the IPv4 address by which other machines know this one: that of its default route, or its only one."""
    here = addresses()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route, contextlib.suppress(OSError):
        route.connect(("192.0.2.1", 9))  # with UDP this sends nothing, but chooses a route
        if route.getsockname()[0] in here:
            return route.getsockname()[0]
    if len(here) != 1:
        which = f"could be any of {', '.join(here)}" if here else "no IPv4 address"
        raise Refused(f"this machine's server_id: {which}: give it with --server_id")
    return here[0]


def _resolved(name):
    try:
        return {answer[4][0] for answer in socket.getaddrinfo(name, None, socket.AF_INET)}
    except (OSError, ValueError):  # ValueError: nothing that a host can be called
        return set()


def local_server(table, server_id=None):
    """Return the server_id of this machine in a table that is right.

    That is: the one given; else the only one; else the one that is this machine's address or name, has its host_ip, or
    resolves to its address. Raises Refused if there is none, or more than one.
    """
    servers = {server["server_id"]: server.get("host_ip") for server in table["server_list"]}
    names = ", ".join(servers)
    if server_id is not None:
        if server_id not in servers:
            raise Refused(f"--server_id {server_id}: isn't in the rank table: give one of {names}")
        return server_id
    if len(servers) == 1:
        return names
    here = {*addresses(), socket.gethostname()}
    found = [name for name, host_ip in servers.items() if {name, host_ip} & here]
    # last, because a name server that doesn't answer costs seconds
    found = found or [name for name in servers if _resolved(name) & here]
    if len(found) != 1:
        which = f"{' and '.join(found)} are both this machine" if found else "none of them is this machine"
        known = ", ".join(sorted(here))
        raise Refused(f"rank table of {names}: {which} ({known}): say which with --server_id")
    return found[0]
