"""Child objects: pure functions from a BigPeer to the manifests that are applied for it."""
