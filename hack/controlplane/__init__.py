"""etcd and the Kubernetes control plane, built from Go modules."""
