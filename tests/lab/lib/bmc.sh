# The BMCs: one ipmi_sim for each host, on the management network and on power of its own.
# shellcheck shell=bash

BMC_USER="admin"
BMC_PASSWORD=lab-secret

# host/chassis is the wire between a BMC and the power button.
bmc_up() {
    local i=$1 dir=$STATE/bmc/host$1
    mkdir -p "$dir/state"
    cat >"$dir/lan.conf" <<TEXT
name "host$i-bmc"
set_working_mc 0x20
  startlan 1
    addr 10.77.1.$((100 + i)) 623
    priv_limit admin
    allowed_auths_admin none md5
    guid $(host_uuid "$i" | tr -d '-')
  endlan
  chassis_control "$LAB_SRC/host/chassis $LAB_NAME host$i"
  user 1 false "" "" user 10 none
  user 2 true "$BMC_USER" "$BMC_PASSWORD" admin 10 none md5
TEXT
    cat >"$dir/emu" <<TEXT
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
TEXT
    (
        exec 9>&-
        run_in "$CGROUP/infra" nsenter --net="/run/netns/$SWITCH" \
            ipmi_sim -n -c "$dir/lan.conf" -f "$dir/emu" -s "$dir/state" \
            </dev/null >"$dir/log" 2>&1
    ) &
    disown
}

bmc_show() {
    local i
    i=$(host_number "${1:-}") || exit 1
    cat <<TEXT
ip=10.77.1.$((100 + i))
username=$BMC_USER
password=$BMC_PASSWORD
lanplus=1
cipher=3
power_wait=0
TEXT
}
