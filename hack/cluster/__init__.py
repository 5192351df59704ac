"""A real Kubernetes cluster of several nodes on one machine, without a container engine."""
