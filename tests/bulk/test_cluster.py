"""Units of work on a cluster of Ray: two nodes on this machine, of which one is lost."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulk.test_predict_files import answers_in, lines_of, model, write_series
from bulk.work import Slow, refused
from command_line import run_here
from memfold.bulk.cluster import Cluster
from memfold.errors import InputError

__all__ = ["model"]  # a fixture

pytestmark = [pytest.mark.release, pytest.mark.filterwarnings("ignore")]  # of Ray's own
LOOPBACK = "127.0.0.1"
FILES = 200


@pytest.fixture
def nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster on the loopback address, and its second node; each has one processor."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster as Nodes

    environment = {
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_agent_register_timeout_ms": "120000",
        "RAY_health_check_failure_threshold": "5",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)  # on Linux it would seek an address in a network
        options = {"num_cpus": 1, "node_ip_address": LOOPBACK, "object_store_memory": 80_000_000}
        cluster = Nodes(initialize_head=True, head_node_args={**options, "include_dashboard": False})
        second = cluster.add_node(**options)
        cluster.wait_for_nodes()
        yield cluster, second
        cluster.shutdown()


def test_every_file_is_answered_to_once_though_a_worker_and_a_node_are_lost(
    nodes: tuple[Any, Any], model: str, tmp_path: Path
) -> None:
    cluster, second = nodes
    for number in range(FILES):
        write_series(tmp_path / "data" / f"{number}.csv", f"s{number}", number)
    out = tmp_path / "out"
    losing = threading.Thread(target=lose, args=(cluster, second, out))
    losing.start()
    done = run_here("predict", model, f"{tmp_path}/data/*.csv", "--out", f"{out}/", "--ray", cluster.address)
    losing.join()
    assert done.returncode == 0, done.stderr
    assert f"{FILES} of {FILES} files answered to" in done.stderr
    inputs = [line["input"] for line in lines_of(out)]
    assert sorted(inputs) == sorted(str(file) for file in (tmp_path / "data").iterdir())  # each once
    whole = run_here("predict", model, f"{tmp_path}/data/*.csv", "--out", f"{tmp_path}/whole/", "--jobs", "1")
    assert whole.returncode == 0, whole.stderr
    assert answers_in(out) == answers_in(tmp_path / "whole")


def lose(cluster: Any, second: Any, out: Path) -> None:
    """Kill a worker once some files are answered to, and remove a node once some more are."""
    wait_for_lines(out, 20)
    os.kill(workers_of_ray()[0], signal.SIGKILL)
    wait_for_lines(out, 60)
    cluster.remove_node(second, allow_graceful=False)


def wait_for_lines(out: Path, count: int) -> None:
    manifest = out / "_manifest.jsonl"
    until = time.monotonic() + 300
    while not manifest.exists() or manifest.read_bytes().count(b"\n") < count:
        assert time.monotonic() < until
        time.sleep(0.01)


def workers_of_ray() -> list[int]:
    """The processes of this machine that do a task now: Ray names them after it."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.joinpath("cmdline").exists():
            with folder.joinpath("cmdline").open("rb") as file:
                if file.read().startswith(b"ray::_done"):
                    found.append(int(folder.name))
    return found


def test_units_are_shared_among_nodes_and_what_the_work_raises_is_raised(
    nodes: tuple[Any, Any], tmp_path: Path
) -> None:
    with closing(Cluster(nodes[0].address)) as executor:
        assert executor.workers == 2
        processes = [process for _, process in executor.run(range(6), Slow(str(tmp_path), 1.0))]
        assert len(set(processes)) == 2
        with pytest.raises(InputError, match="3: is odd"):
            list(executor.run(range(9), refused))


def test_without_a_cluster_it_is_one_line(model: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        free = probe.getsockname()[1]
    write_series(tmp_path / "a.csv", "a")
    for address in ("auto", f"{LOOPBACK}:{free}"):
        done = run_here("predict", model, f"{tmp_path}/a.csv", "--out", f"{tmp_path}/out/", "--ray", address)
        assert done.returncode == 2
        assert f"memfold: --ray {address}: no cluster of Ray can be reached" in done.stderr.splitlines()[-1]
