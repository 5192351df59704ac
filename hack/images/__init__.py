"""Builds the container images without a registry and without a container engine."""

from hack.images.archives import Images, build
from hack.images.refusals import FAILED, MISUSED, UNAVAILABLE, Refused

__all__ = ["FAILED", "MISUSED", "UNAVAILABLE", "Images", "Refused", "build"]
