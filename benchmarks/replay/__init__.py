"""A server that speaks as much of the Kubernetes API as the subjects need, from prebuilt bytes.

It stands in for kube-apiserver where that is the bottleneck: it serves parcels over plain HTTP,
sends changes as fast as they are taken or at a given rate, and counts what it is asked.
"""
