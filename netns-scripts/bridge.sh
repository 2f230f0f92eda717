#!/usr/bin/env bash
# A station behind a node: its interface is a port of an ordinary Linux bridge.
#
#    mn-station            mn-a                                    mn-b
#   +-------------+      +-----------------------+               +------------------+
#   | v0          |      |   br0                 |               | minet0           |
#   | 10.77.9.9   |-veth-| p0 |  | minet0 (id 1) |===============| 10.77.0.2 (id 2) |
#   +-------------+      +-----------------------+ shared memory +------------------+
#
# As root:  MINET=target/release/minet netns-scripts/bridge.sh
# On a terminal it stays until Enter; type into it with `ip netns exec mn-station bash`.
set -euo pipefail
: "${MINET:=minet}"
MINET=$(realpath "$(command -v "$MINET")")
run=$(mktemp -d)
pids=()

if ip netns list | grep -q '^mn-'; then
    echo "there are namespaces called mn-...: another of these scripts runs, or was killed" >&2
    exit 1
fi

clean_up() {
    trap - EXIT INT TERM HUP
    [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null || true
    for ns in mn-a mn-b mn-station; do ip netns delete "$ns" 2>/dev/null || true; done
    rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

for ns in mn-a mn-b mn-station; do ip netns add "$ns"; done
ip -n mn-station link add v0 type veth peer name p0 netns mn-a
ip -n mn-station address add 10.77.9.9/16 dev v0
ip -n mn-station link set v0 up

# Both nodes say that stations may stand behind nodes of the segment (learn = true). start NAME ID [ADDRESS]
mkdir "$run/host"
start() {
    cat >"$run/$1.toml" <<EOF
name = "$1"
id = $2
run_dir = "$run/host"
[[segment]]
name = "lan"
interface = "minet0"
addresses = [${3:+\"$3\"}]
learn = true
EOF
    ip netns exec "mn-$1" "$MINET" run --config "$run/$1.toml" 2>"$run/$1.log" & pids+=($!)
}
start a 1
start b 2 10.77.0.2/16

# The interface appears with the daemon.
for _ in {1..100}; do
    ip -n mn-a link show minet0 >/dev/null 2>&1 && break
    kill -0 "${pids[@]}" || { cat "$run"/*.log; exit 1; }
    sleep 0.1
done
ip -n mn-a link add br0 type bridge
ip -n mn-a link set p0 master br0 up
ip -n mn-a link set minet0 master br0
ip -n mn-a link set br0 up

# Until the other side answers, half a minute at most.
for _ in {1..60}; do
    ip netns exec mn-station ping -c 1 -W 0.5 10.77.0.2 >/dev/null 2>&1 && break
    kill -0 "${pids[@]}" || { cat "$run"/*.log; exit 1; }
done
ip netns exec mn-station ping -c 3 -i 0.2 10.77.0.2
ip netns exec mn-b ping -c 3 -i 0.2 10.77.9.9

if [ -t 0 ]; then read -rp "Enter ends it. "; fi
