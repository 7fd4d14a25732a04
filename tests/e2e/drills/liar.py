"""A fence agent as the cluster runs it (options on stdin), whose device says that it did what it was told, and did nothing."""

LIAR = """#!/bin/sh
while read -r line; do
    case $line in action=*) action=${line#action=} ;; plug=*) plug=${line#plug=} ;; mode=*) mode=${line#mode=} ;; esac
done
state=/srv/vms/liar-$plug
case $action in
metadata) echo '<resource-agent name="fence_liar"/>' ;;
off|reboot) [ "$mode" = refuse ] && exit 1; : >"$state" ;;
on) rm -f "$state" ;;
status|monitor) [ ! -e "$state" ] || exit 2 ;;
esac
"""


def install_liar(drill):
    for host in drill.lab.hosts:
        drill.lab.exec(host, "sh", "-ec", "mount -t tmpfs agents /usr/local/sbin; cat >/usr/local/sbin/fence_liar;"
                                          "chmod 755 /usr/local/sbin/fence_liar", stdin=LIAR)
