"""The benchmarks run, whole, on few objects: so that they do not rot. No figure is judged."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.parcel import crd
from smbpctl.runtime.simulation.controlplane import ControlPlane

ROOT = Path(__file__).parents[2]
SYNC = [
    *("ours-full", "ours-full-gzip", "ours-metadata"),
    *("kubernetes-asyncio", "kubernetes-asyncio-gzip", "plain"),
]
CRD = "parcels.benchmarks.smbpctl.dev"


def benchmarks(folder: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """Run benchmarks as a user does; return what was printed, and the JSON."""
    file = folder / "report.json"
    command = [sys.executable, "-m", "benchmarks", *arguments, "--rounds", "1", "--json", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, json.loads(file.read_text("utf-8"))


class TestBenchmarks:
    """`python -m benchmarks`."""

    def test_sync(self, control_plane: ControlPlane, tmp_path: Path) -> None:
        """All variants see all objects, every column is filled, and nothing is left behind."""
        kubeconfig = str(control_plane.kubeconfig)

        shown, report = benchmarks(tmp_path, "sync", "--objects", "200", "--kubeconfig", kubeconfig)

        [sync] = report["benchmarks"]
        variants = sync["variants"]
        assert [each["name"] for each in variants] == SYNC
        assert [each["readings"][0]["amount"] for each in variants] == [200] * len(SYNC)
        assert len({each["readings"][0]["digest"] for each in variants}) == 1
        assert sync["complete"] is True
        assert "Every variant saw all 200 objects, in the same versions." in shown
        for each in variants:
            assert each["title"] in shown
            assert set(each["figures"]) == {
                *("cpu_microseconds", "rss_per_object", "peak_megabytes", "wall_seconds")
            }
            assert each["ratios"]["cpu_microseconds"]["median"] > 0
        assert sync["facts"]["objects"] == 200
        assert 1500 < sync["facts"]["wire_bytes"] < 5000
        assert sync["facts"]["managed_bytes"] > 0
        assert set(report["machine"]) == {"system", "cores", "memory_gib", "python", "libraries"}
        left = control_plane.kubectl("get", "crd", CRD, "--ignore-not-found", "--output=name")
        assert left.stdout == ""

    def test_a_crd_that_is_there_is_refused(
        self, control_plane: ControlPlane, tmp_path: Path
    ) -> None:
        """What another run left would be measured too, and may not be ours to delete."""
        control_plane.kubectl("create", "-f", "-", stdin=json.dumps(crd()))
        command = [sys.executable, "-m", "benchmarks", "sync", "--objects", "1"]
        command += ["--kubeconfig", str(control_plane.kubeconfig)]

        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

        kept = control_plane.kubectl("delete", "crd", CRD)
        assert ran.returncode == 1
        assert f"{CRD} is left from another run" in ran.stderr
        assert "deleted" in kept.stdout

    def test_the_others(self, tmp_path: Path) -> None:
        """Queue and reads need no server; each variant did what it was asked."""
        shown, report = benchmarks(tmp_path, "queue", "reads")

        assert [each["name"] for each in report["benchmarks"]] == ["queue", "reads"]
        for benchmark in report["benchmarks"]:
            readings = [each["readings"][0] for each in benchmark["variants"]]
            assert len(readings) == 3
            assert len({each["amount"] for each in readings}) == 1
            assert all(each["cpu_seconds"] > 0 for each in readings)
        assert "absolute figures are those of one machine" in shown
