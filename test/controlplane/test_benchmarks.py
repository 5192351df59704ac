"""The benchmarks run, whole, on few objects: so that they do not rot. Counts alone are judged.

The peers in Go and Rust are not built here, and no figure of time is looked at.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.managed import AUTHOR, managed_fields
from benchmarks.parcel import GROUP, NAMESPACE, PLURAL, crd, parcel, status
from smbpctl.runtime.simulation.controlplane import ControlPlane

ROOT = Path(__file__).parents[2]
CRD = f"{PLURAL}.{GROUP}"
OURS = ("ours", "ours-metadata")
OBJECTS = 400  # of sync20k; everything else in proportion


def benchmarks(folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Run benchmarks as a user does; return the reports by name."""
    command = [sys.executable, "-m", "benchmarks", *arguments, f"--objects={OBJECTS}"]
    command += ["--rounds=1", f"--json={folder}", "--peers", "python"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    reports = [json.loads(file.read_text("utf-8")) for file in folder.glob("*.json")]
    for report in reports:
        assert report["complete"] is True
        assert report["title"] in ran.stdout
        for variant in report["variants"]:
            assert set(variant["figures"]) == {each["name"] for each in report["measures"]}
    return {report["name"]: report for report in reports}


def readings(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the reading of each variant by the name of its program."""
    return {each["name"]: each["readings"][0] for each in report["variants"]}


class TestBenchmarks:
    """`python -m benchmarks`."""

    def test_on_a_real_server(self, control_plane: ControlPlane, tmp_path: Path) -> None:
        """All variants see all objects and all updates, and nothing is left behind."""
        kubeconfig = f"--kubeconfig={control_plane.kubeconfig}"

        names = ["idle", "failover", "updates", "sync20k", "lists20k"]

        found = benchmarks(tmp_path, *names, kubeconfig)

        assert sorted(found) == sorted(names)
        sync = {**readings(found["sync20k"]), **readings(found["lists20k"])}
        assert {each["amount"] for each in sync.values()} == {OBJECTS}
        # kopf's handler keeps nothing that would tell versions.
        assert len({each["digest"] for name, each in sync.items() if name != "kopf"}) == 1
        assert {"controller-runtime, unstructured", "kube-rs, DynamicObject"} <= set(
            found["sync20k"]["absent"]
        )
        facts = found["sync20k"]["facts"]
        assert facts["objects"] == OBJECTS
        assert 1500 < facts["wire_bytes"] < 5000
        # Our cache keeps the bytes that came without managedFields, or even less.
        kept = {name: sync[name]["extras"]["stored_bytes"] / OBJECTS for name in OURS}
        assert kept["ours"] < facts["wire_bytes"] - 0.9 * facts["managed_bytes"]
        assert kept["ours-metadata"] < kept["ours"] / 2
        updated = readings(found["updates"])
        assert updated["ours"]["extras"]["reconciles"] == updated["ours"]["amount"]
        left = control_plane.kubectl("get", "crd", CRD, "--ignore-not-found", "--output=name")
        assert left.stdout == ""

    def test_on_the_replay_server(self, tmp_path: Path) -> None:
        """Events reach their reconcile, one for one or merged; what needs no request makes none."""
        names = ["flood", "latency-2000", "stall", "resync", "applies", "import", "queue", "reads"]

        found = benchmarks(tmp_path, *names)

        assert sorted(found) == sorted(names)
        flood = readings(found["flood"])
        for name in ("ours", "ours-uvloop"):
            assert 0 < flood[name]["extras"]["reconciles"] <= flood[name]["amount"]
            assert flood[name]["extras"]["requests_when_ready"] == 0
        latency = readings(found["latency-2000"])["ours"]["extras"]
        assert 0 < latency["p50_us"] <= latency["p99_us"] <= latency["max_us"]
        resync = readings(found["resync"])["ours-resync"]
        assert resync["extras"]["reconciles"] == resync["amount"]
        assert resync["extras"]["requests_when_ready"] == 0
        applies = readings(found["applies"])
        assert {each["amount"] for each in applies.values()} == {100}
        # One to open the connection, and what discovery asks.
        assert 101 <= applies["ours-applies"]["extras"]["requests"] <= 104
        assert readings(found["import"])["ours-import"]["extras"]["generated_clients"] == 0

    def test_a_crd_that_is_there_is_refused(
        self, control_plane: ControlPlane, tmp_path: Path
    ) -> None:
        """What another run left would be measured too, and may not be ours to delete."""
        control_plane.kubectl("create", "-f", "-", stdin=json.dumps(crd()))
        command = [sys.executable, "-m", "benchmarks", "sync20k", "--objects", "1"]
        command += ["--kubeconfig", str(control_plane.kubeconfig)]

        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

        kept = control_plane.kubectl("delete", "crd", CRD)
        assert ran.returncode == 1
        assert f"{CRD} is left from another run" in ran.stderr
        assert "deleted" in kept.stdout

    def test_managed_fields_are_those_of_a_real_server(self, control_plane: ControlPlane) -> None:
        """What the replay server sends is as large, and as deep, as what a real one would."""
        control_plane.kubectl("create", "-f", "-", stdin=json.dumps(crd()))
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}")
        body, name = json.dumps(parcel(7)), parcel(7)["metadata"]["name"]
        control_plane.kubectl("create", f"--field-manager={AUTHOR}", "-f", "-", stdin=body)
        applied = ["apply", "--server-side", "--field-manager=benchmark-controller"]
        applied += ["--subresource=status", "-f", "-"]
        control_plane.kubectl(*applied, stdin=json.dumps(status(7)))

        got = control_plane.kubectl(
            *("get", f"{PLURAL}.{GROUP}", name, f"--namespace={NAMESPACE}"),
            *("--output=json", "--show-managed-fields"),
        )

        control_plane.kubectl("delete", "crd", CRD)
        real = json.loads(got.stdout)["metadata"]["managedFields"]
        made = managed_fields(7)
        for entry in (*real, *made):
            del entry["time"]
        assert real == made
