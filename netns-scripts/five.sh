#!/usr/bin/env bash
# Five nodes: three on one host, two on another, one pair without a direct link.
#
#    host 1, shared memory                                  host 2, shared memory
#   +-----+   +-----+   +-----+                            +-----+   +-----+
#   |  a  |===|  b  |===|  c  |                            |  d  |===|  e  |
#   | id 1|   | id 2|   | id 3|                            | id 4|   | id 5|
#   +-----+   +-----+   +-----+                            +-----+   +-----+
#    || \________________//||       UDP: d-a d-b d-c          |         |
#    |        |         |           e-a e-b                   |         |
#    +--------+---------+------- bridge in mn-net ------------+---------+
#              10.99.0.<id>:7400 on u0 of each
#
# c and e have no direct link: what they say to each other is relayed.
# On each minet0: 10.77.0.<id>/16 and fd4d::<id>/64.
#
# As root:  MINET=target/release/minet netns-scripts/five.sh
# On a terminal it stays until Enter; type into it with `ip netns exec mn-c bash`.
set -euo pipefail
: "${MINET:=minet}"
MINET=$(realpath "$(command -v "$MINET")")
run=$(mktemp -d)
mkdir "$run/host1" "$run/host2"
nodes=(a b c d e)
pids=()

if ip netns list | grep -q '^mn-'; then
    echo "there are namespaces called mn-...: another of these scripts runs, or was killed" >&2
    exit 1
fi

clean_up() {
    trap - EXIT INT TERM HUP
    [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null || true
    for name in net "${nodes[@]}"; do ip netns delete "mn-$name" 2>/dev/null || true; done
    rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# The underlay: a bridge with a cable to each node.
ip netns add mn-net
ip -n mn-net link add br0 type bridge
ip -n mn-net link set br0 up
id=0
for name in "${nodes[@]}"; do
    id=$((id + 1))
    ip netns add "mn-$name"
    ip -n "mn-$name" link set lo up
    ip -n "mn-$name" link add u0 type veth peer name "to-$name" netns mn-net
    ip -n "mn-$name" address add "10.99.0.$id/24" dev u0
    ip -n "mn-$name" link set u0 up
    ip -n mn-net link set "to-$name" master br0 up
done

# start NAME ID HOST [PEER-ID...]: --insecure because the UDP links are not encrypted.
start() {
    local name=$1 id=$2 host=$3 peers=()
    shift 3
    for peer; do peers+=(--peer "10.99.0.$peer:7400"); done
    ip netns exec "mn-$name" "$MINET" run --name "$name" --id "$id" --run-dir "$run/$host" --insecure \
        --listen "10.99.0.$id:7400" "${peers[@]}" 2>"$run/$name.log" & pids+=($!)
}
start a 1 host1
start b 2 host1
start c 3 host1
start d 4 host2 1 2 3
start e 5 host2 1 2

# Until every node answers at c, half a minute at most.
for to in 1 2 4 5; do
    for _ in {1..60}; do
        ip netns exec mn-c ping -c 1 -W 0.5 "10.77.0.$to" >/dev/null 2>&1 && break
        kill -0 "${pids[@]}" || { cat "$run"/*.log; exit 1; }
    done
    ip netns exec mn-c ping -q -c 3 -i 0.2 "10.77.0.$to"
done
"$MINET" nodes --run-dir "$run/host1" --name c

if [ -t 0 ]; then read -rp "Enter ends it. "; fi
