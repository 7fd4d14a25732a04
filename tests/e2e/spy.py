"""spy.py SECONDS: looks for a secret, read from standard input, in the command lines and environments of all processes of
this machine, as often as it can; ends early when its standard input is closed. Prints one JSON document:

{"rounds": how often it looked at all of them, "found": [what, ...]}
"""

import json
import os
import select
import sys
import time


def look(pid, name, secret, found):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            text = file.read(1 << 17)
    except OSError:     # it has ended
        return
    if secret in text:
        found.add(f"{name} of {text.split(b' ')[0].split(chr(0).encode())[0].decode(errors='replace')}")


def main():
    secret = sys.stdin.buffer.readline().strip()
    end = time.monotonic() + float(sys.argv[1])
    found, rounds = set(), 0
    while time.monotonic() < end and not select.select([sys.stdin], [], [], 0)[0]:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            look(pid, "cmdline", secret, found)
            look(pid, "environ", secret, found)
        rounds += 1
    print(json.dumps({"rounds": rounds, "found": sorted(found)}))


main()
