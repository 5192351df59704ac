"""Puts the operator into the cluster of a kubeconfig context, and takes it away: kubectl alone.

`up` applies config/default with the image and settings given and waits until it serves; saying it
again changes nothing. `down` refuses while BigPeers exist, because they go with their CRD; with
--force it deletes them first, while the operator can still clean up after them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

ROOT: Final = Path(__file__).resolve().parent.parent
CONFIG: Final = ROOT / "config"
IMAGE: Final = "smbpctl/manager"
NAME: Final = "smbpctl-manager"
NAMESPACE: Final = "smbpctl-system"
CRD: Final = "bigpeers.smbpctl.dev"

_READY_SECONDS: Final = 180
# The operator lets a BigPeer go after ten minutes, whatever is left of its Kafka cluster.
_GONE_SECONDS: Final = 900
_POLL_SECONDS: Final = 0.5
_SETTING: Final = re.compile(r"[A-Z_][A-Z0-9_]*=.*", re.DOTALL)

Manifest: TypeAlias = dict[str, Any]


class Refused(Exception):
    """It cannot be done; the message says why in words for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, against the current context unless another is named."""

    context: str = ""

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it and return what it said; raise Refused when there is no kubectl."""
        chosen = [f"--context={self.context}"] if self.context else []
        command = ["kubectl", *chosen, *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise Refused("kubectl is not on the PATH") from None

    def run(self, *arguments: str) -> str:
        """Run it and return its output; raise Refused with its own words when it fails."""
        answer = self.attempt(*arguments)
        # Warnings of the API server, about Pod Security for one, come on standard error.
        if answer.returncode == 0:
            sys.stderr.write(answer.stderr)
            return answer.stdout
        raise Refused(answer.stderr.strip() or f"kubectl {arguments[0]} failed")

    def get(self, *what: str) -> Manifest:
        """Return an object or a list, empty when it does not exist."""
        text = self.run("get", *what, "--ignore-not-found", "--output=json")
        return cast("Manifest", json.loads(text)) if text.strip() else {}


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time by which something must have happened."""

    seconds: float
    end: float

    @staticmethod
    def after(seconds: float) -> "Deadline":
        """Return the deadline that many seconds from now."""
        return Deadline(seconds, time.monotonic() + seconds)

    @property
    def passed(self) -> bool:
        """Tell whether it is too late."""
        return time.monotonic() >= self.end

    @property
    def flag(self) -> str:
        """Return the rest of the time as kubectl's flag; zero would mean a week to kubectl."""
        return f"--timeout={max(1, round(self.end - time.monotonic()))}s"


def image_override(reference: str) -> dict[str, str]:
    """Return the entry of kustomize's images transformer that leads to an image.

    The tag stays the project's version when `reference` has neither tag nor digest.
    """
    name, _, digest = reference.partition("@")
    # A colon before the last slash belongs to the registry's port.
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    given = {"newName": repository, "newTag": tag, "digest": digest}
    if digest:
        given["newTag"] = ""
    return {"name": IMAGE, **{key: value for key, value in given.items() if value}}


def overlay(base: str, image: str, settings: Mapping[str, str]) -> Manifest:
    """Return a kustomization of the folder `base` with this image and these variables."""
    kustomization: Manifest = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "images": [image_override(image)],
    }
    if settings:
        environment = [{"name": name, "value": value} for name, value in settings.items()]
        pod = {"containers": [{"name": "manager", "env": environment}]}
        patch: Manifest = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"template": {"spec": pod}},
        }
        kustomization["patches"] = [{"patch": json.dumps(patch)}]
    return kustomization


def up(kubectl: Kubectl, options: argparse.Namespace) -> None:
    """Apply CRD, rights and operator, and wait until the operator is ready."""
    deadline = Deadline.after(options.timeout)
    with tempfile.TemporaryDirectory(prefix="smbpctl-deploy-") as made:
        folder = Path(made).resolve()
        # kustomize takes no absolute path to a base.
        base = os.path.relpath(CONFIG / "default", folder)
        kustomization = overlay(base, options.image, dict(options.set))
        (folder / "kustomization.yaml").write_text(json.dumps(kustomization), encoding="utf-8")
        if options.print:
            sys.stdout.write(kubectl.run("kustomize", str(folder)))
            return
        say_where(kubectl)
        # The CRD first: no operator meets an older one, and none starts without any.
        apply(kubectl, CONFIG / "crd", force=options.force_conflicts)
        wait_established(kubectl, deadline)
        apply(kubectl, folder, force=options.force_conflicts)
    wait_ready(kubectl, deadline)


def apply(kubectl: Kubectl, folder: Path, *, force: bool) -> None:
    """Apply a kustomization on the server: the CRD is too large for the client's annotation.

    The field manager is kubectl's own default, so `make install` and `kubectl apply --server-side`
    by hand go on where this stopped. Fields that somebody else took over are not taken back unless
    `force` says so: kubectl then names them and fails.
    """
    flags = ["--force-conflicts"] if force else []
    command = ("apply", "--server-side", "--field-manager=kubectl", *flags)
    sys.stdout.write(kubectl.run(*command, f"--kustomize={folder}"))


def wait_established(kubectl: Kubectl, deadline: Deadline) -> None:
    """Wait until the API server serves the CRD; raise Refused with its conditions if not."""
    while True:
        conditions = crd_conditions(kubectl.get("crd", CRD))
        if conditions.get("Established") == "True":
            return
        if deadline.passed:
            said = "; ".join(f"{name}={status}" for name, status in conditions.items())
            raise Refused(f"the CRD is not served after {deadline.seconds:g} s: {said or 'silent'}")
        time.sleep(_POLL_SECONDS)


def crd_conditions(crd: Manifest) -> dict[str, str]:
    """Return type and status of a CRD's conditions; right after it was made they are null."""
    conditions: list[Manifest] = crd.get("status", {}).get("conditions") or []
    return {each["type"]: each["status"] for each in conditions}


def wait_ready(kubectl: Kubectl, deadline: Deadline) -> None:
    """Wait for the rollout; raise Refused with what the pods wait for when it does not end."""
    command = ("rollout", "status", f"deployment/{NAME}", f"--namespace={NAMESPACE}")
    answer = kubectl.attempt(*command, deadline.flag)
    if answer.returncode == 0:
        print("the operator is ready")
        return
    lines = [f"the operator is not ready: {answer.stderr.strip()}", *obstacles(kubectl)]
    lines.append(f"its log: kubectl logs --namespace={NAMESPACE} deployment/{NAME}")
    raise Refused("\n  ".join(lines))


def obstacles(kubectl: Kubectl) -> Iterator[str]:
    """Yield what keeps the Deployment from being ready: refused pods, then each pod's state."""
    deployment = kubectl.get("deployment", NAME, f"--namespace={NAMESPACE}")
    for condition in deployment.get("status", {}).get("conditions", []):
        if (condition["type"], condition["status"]) in {
            ("ReplicaFailure", "True"),
            ("Progressing", "False"),
        }:
            yield f"deployment {NAME}: {condition['reason']}: {condition['message']}"
    labels = deployment.get("spec", {}).get("selector", {}).get("matchLabels", {})
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    pods = kubectl.get("pods", f"--namespace={NAMESPACE}", f"--selector={selector}")
    for pod in pods.get("items", []):
        for state in pod_states(pod):
            yield f"pod {pod['metadata']['name']}: {state}"


def pod_states(pod: Manifest) -> Iterator[str]:
    """Yield why a pod does not serve, in its own words."""
    if "deletionTimestamp" in pod["metadata"]:
        yield "is being deleted"
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"{condition.get('reason')}: {condition.get('message')}"
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting")
        ended = container.get("lastState", {}).get("terminated")
        if waiting:
            yield ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
        elif not container.get("ready"):
            yield "runs, but /readyz does not pass"
        if ended:
            yield f"ended before: {ended.get('reason')}, exit status {ended.get('exitCode')}"


def down(kubectl: Kubectl, options: argparse.Namespace) -> None:
    """Take everything away in the order in which nothing is left hanging; harmless when repeated.

    BigPeers, while the operator runs; then the operator, before its rights; then CRD, rights and
    namespace.
    """
    say_where(kubectl)
    deadline = Deadline.after(options.timeout)
    if options.force:
        delete_big_peers(kubectl, deadline)
    refuse_big_peers(kubectl, "nothing was removed")
    # In the foreground: the Deployment goes when its pods have.
    delete(kubectl, deadline, f"--kustomize={CONFIG / 'manager'}", "--cascade=foreground")
    refuse_big_peers(
        kubectl, "made meanwhile; the operator is removed, `make deploy` brings it back"
    )
    delete(kubectl, deadline, f"--kustomize={CONFIG / 'crd'}")
    delete(kubectl, deadline, f"--kustomize={CONFIG / 'rbac'}")


def delete(kubectl: Kubectl, deadline: Deadline, *what: str) -> None:
    """Delete objects and wait until they are gone."""
    sys.stdout.write(kubectl.run("delete", "--ignore-not-found", deadline.flag, *what))


def big_peers(kubectl: Kubectl) -> list[Manifest]:
    """Return all BigPeers; none where their kind does not exist."""
    if not kubectl.get("crd", CRD):
        return []
    items: list[Manifest] = kubectl.get(CRD, "--all-namespaces").get("items", [])
    return items


def refuse_big_peers(kubectl: Kubectl, consequence: str) -> None:
    """Raise Refused while there are BigPeers."""
    found = big_peers(kubectl)
    if found:
        raise Refused(
            f"there are BigPeers, which would be deleted with their CRD ({consequence}):\n  "
            + "\n  ".join(described(found))
            + "\nDelete them first, or say `make undeploy FORCE=1`"
        )


def delete_big_peers(kubectl: Kubectl, deadline: Deadline) -> None:
    """Delete every BigPeer and wait until all are gone; raise Refused with those that stay."""
    if not big_peers(kubectl):
        return
    sys.stdout.write(kubectl.run("delete", CRD, "--all", "--all-namespaces", "--wait=false"))
    while left := big_peers(kubectl):
        if deadline.passed:
            raise Refused(
                f"BigPeers that are still there after {deadline.seconds:g} s:\n  "
                + "\n  ".join(described(left))
                + f"\n{operator_state(kubectl)}; docs/guides/install.md says how to let go of them"
            )
        time.sleep(_POLL_SECONDS)


def described(peers: Sequence[Manifest]) -> Iterator[str]:
    """Yield a line for each BigPeer: its key, and what holds it when it is being deleted."""
    for metadata in (peer["metadata"] for peer in peers):
        held = ", ".join(metadata.get("finalizers", ()))
        deleting = f" (being deleted, held by {held or 'nothing'})"
        ends = "deletionTimestamp" in metadata
        yield f"{metadata['namespace']}/{metadata['name']}{deleting if ends else ''}"


def operator_state(kubectl: Kubectl) -> str:
    """Return a sentence on whether somebody is there to release BigPeers."""
    deployment = kubectl.get("deployment", NAME, f"--namespace={NAMESPACE}")
    if deployment.get("status", {}).get("readyReplicas"):
        return "The operator runs: its log says what it waits for"
    return "The operator does not run, so nobody takes finalizers away"


def say_where(kubectl: Kubectl) -> None:
    """Print the context, because what follows changes a cluster."""
    current = kubectl.attempt("config", "current-context").stdout.strip()
    print(f"context {kubectl.context or current or '(none: as kubectl finds it)'}")


def setting(text: str) -> tuple[str, str]:
    """Return name and value of NAME=VALUE."""
    if not _SETTING.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    name, _, value = text.partition("=")
    return name, value


def image_reference(text: str) -> str:
    """Return a reference to an image; it is refused when it is empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            "which image? Say `make deploy IMG=registry.example/smbpctl/manager:TAG`"
        )
    return text.strip()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="hack/deploy.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    deploy = commands.add_parser("up", help="apply everything and wait until it serves")
    deploy.set_defaults(act=up)
    deploy.add_argument("--image", required=True, type=image_reference, help="the operator's image")
    deploy.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="environment variable of the operator; those of an earlier `up` do not last",
    )
    deploy.add_argument("--print", action="store_true", help="print what would be applied, only")
    deploy.add_argument(
        "--force-conflicts", action="store_true", help="take back fields that others changed"
    )
    remove = commands.add_parser("down", help="take everything away")
    remove.set_defaults(act=down)
    remove.add_argument("--force", action="store_true", help="delete every BigPeer first")
    for command, seconds in ((deploy, _READY_SECONDS), (remove, _GONE_SECONDS)):
        command.add_argument("--context", default="", help="context of the kubeconfig")
        command.add_argument(
            "--timeout", type=float, default=seconds, metavar="SECONDS", help=f"default: {seconds}"
        )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return 0, or 1 with a message when it was refused."""
    options = parser().parse_args(arguments)
    try:
        options.act(Kubectl(options.context), options)
    except Refused as refusal:
        print(f"deploy: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
