"""A Kubernetes operator for a Self-Managed Big Peer, and the controller runtime it runs on."""

__version__ = "0.1.0"
