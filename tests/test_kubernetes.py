"""examples/kubernetes/: checked against the published schemas; the pods' commands are run here, without a cluster."""

import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ascend_server import Server, finished
from conftest import ENVIRONMENT, ROOT, command
from kubernetes_files import documents, problems

EXAMPLES, SCHEMAS = ROOT / "examples" / "kubernetes", ROOT / "tests" / "fixtures" / "kubernetes"
FILES = [("mpijob", "mpijob"), ("volcano_ascend", "volcano_job")]


def load(name):
    """Return the last document of an example: the job."""
    return documents((EXAMPLES / f"{name}.yaml").read_text())[-1]


@pytest.mark.parametrize("name, schema", FILES)
def test_the_jobs_fit_their_published_schemas(name, schema):
    job, schema = load(name), json.loads((SCHEMAS / f"{schema}.json").read_text())
    assert problems(schema, job) == []
    wrong = copy.deepcopy(job)
    wrong["spec"]["policy"] = wrong["spec"].pop("policies", [])
    assert ["policy" in problem for problem in problems(schema, wrong)] == [True]
    wrong = json.loads(json.dumps(job).replace('"containers"', '"container"'))
    assert problems(schema, wrong)
    wrong = json.loads(json.dumps(job).replace('"replicas": 2', '"replicas": "2"'))
    assert problems(schema, wrong)


def test_the_launchers_pod_starts_a_rank_on_each_server(tmp_path):
    """With the variables and files that the operator makes in a pod, and this machine in place of both servers."""
    job = load("mpijob")
    (pod,) = job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"]
    hosts, slots = tmp_path / "hostfile", job["spec"]["slotsPerWorker"]
    workers = job["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"]
    hosts.write_text(f"localhost slots={slots * workers}\n")
    words = [word.replace("/tmp/logs", str(tmp_path / "logs")) for word in pod["command"] + pod["args"]]
    given = {"orte_default_hostfile": hosts, "orte_keep_fqdn_hostnames": "true", "orte_set_default_slots": slots}
    done = command(*words, **{f"OMPI_MCA_{name}": str(value) for name, value in given.items()})
    assert done.returncode == 0, done.stderr
    assert f"2 ranks on the servers of {hosts}" in done.stderr
    assert "rank 1: tensor's name is:" in done.stdout
    assert "check: PASS" in done.stdout


def test_each_servers_pod_waits_for_the_table_and_starts_its_ranks(tmp_path):
    (pod,) = load("volcano_ascend")["spec"]["tasks"][0]["template"]["spec"]["containers"]
    device = int(pod["resources"]["limits"]["huawei.com/Ascend910"])
    assert device == 1
    table = tmp_path / "hccl.json"
    table.write_text('{"status": "initializing"}')
    server, started = Server(tmp_path), []
    for number in (1, 2):
        folder = tmp_path / f"pod{number}"
        folder.mkdir()
        (script,) = pod["args"]
        script = script.replace("/tmp/", f"{folder}/").replace("/user/serverid/devindex/config/hccl.json", str(table))
        words = [*pod["command"], script]
        more = {"HOST_IP": f"10.0.0.{number}", "RANK_TABLE_FILE": str(table), "LAUNCH_DEV": str(folder)}
        (folder / "davinci0").touch()
        more["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        started.append(popen(words, {**ENVIRONMENT, **server.environment, **more}))
    time.sleep(1)
    assert [pod.poll() for pod in started] == [None, None]
    instances = [
        {"devices": [{"device_id": "0", "device_ip": f"192.0.2.{number}"}], "pod_name": f"suite-server-{number - 1}"}
        for number in (1, 2)
    ]
    for number, instance in enumerate(instances, 1):
        instance["server_id"] = f"10.0.0.{number}"
    group = {"device_count": "2", "instance_count": "2", "instance_list": instances, "group_name": "server"}
    table.write_text(json.dumps({"status": "completed", "group_count": "1", "group_list": [group]}))
    for rank, process in enumerate(started):
        done = finished(process, 60)
        assert done.returncode == 0, done.stderr
        assert "1 of 2 ranks" in done.stderr
        assert "data size is:2048" in done.stdout, rank


def popen(words, environment):
    return subprocess.Popen(
        words,
        cwd=str(ROOT),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
