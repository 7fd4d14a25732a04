"""Drills: faults of real hosts, judged by an oracle that asks neither the cluster nor libvirt (oracle.py)."""
