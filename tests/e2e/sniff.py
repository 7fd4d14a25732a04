"""sniff.py SECONDS: what goes over this host's network, as one JSON document.

{"ports": {PORT: bytes}, "tls": [PORT, ...], "clear": [WORD, ...]}: TCP ports below 60000 that something
was sent to; those whose stream begins as TLS does; which of the tell-tale words were seen in the clear.
"""

import json
import socket
import sys
import time

WORDS = {b"QEVM": "QEMU's migration stream", b"<domain": "domain XML"}


def tcp(frame):
    """(source port, destination port, payload) of an IPv4 TCP frame, else None."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return None
    ip = 14 + (frame[14] & 15) * 4
    end = 14 + int.from_bytes(frame[16:18], "big")
    head = ip + (frame[ip + 12] >> 4) * 4
    return (int.from_bytes(frame[ip:ip + 2], "big"), int.from_bytes(frame[ip + 2:ip + 4], "big"),
            frame[head:max(head, end)])


def main():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE if hasattr(socket, "SO_RCVBUFFORCE") else 33,
                    64 << 20)
    wire.settimeout(0.2)
    ports, first, clear = {}, {}, set()
    end = time.monotonic() + float(sys.argv[1])
    print("ready", flush=True)
    while time.monotonic() < end:
        try:
            found = tcp(wire.recv(1 << 17))
        except socket.timeout:
            continue
        if not found or not found[2]:
            continue
        source, port, data = found
        ports[port] = ports.get(port, 0) + len(data)
        first.setdefault((source, port), data[:3])
        clear |= {WORDS[word] for word in WORDS if word in data}
    tls = {port for (_, port), data in first.items() if data[:2] == b"\x16\x03"}
    print(json.dumps({"ports": {p: n for p, n in ports.items() if p < 60000}, "tls": sorted(tls),
                      "clear": sorted(clear)}))


main()
