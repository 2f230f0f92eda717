#!/usr/bin/env bash
# Two nodes that reach each other over UDP alone, in clear text.
#
#    namespace mn-a                      namespace mn-b
#   +--------------------+              +--------------------+
#   | minet0 10.77.0.1   |              | minet0 10.77.0.2   |
#   | node a  (id 1)     |~~~~~ UDP ~~~~| node b  (id 2)     |
#   | u0 10.99.0.1:7400  |---- veth ----| u0 10.99.0.2:7400  |
#   +--------------------+              +--------------------+
#
# As root:  MINET=target/release/minet netns-scripts/two-udp.sh
# On a terminal it stays until Enter; type into it with `ip netns exec mn-a bash`.
set -euo pipefail
: "${MINET:=minet}"
MINET=$(realpath "$(command -v "$MINET")")
run=$(mktemp -d)
mkdir "$run/a" "$run/b"
pids=()

if ip netns list | grep -q '^mn-'; then
    echo "there are namespaces called mn-...: another of these scripts runs, or was killed" >&2
    exit 1
fi

clean_up() {
    trap - EXIT INT TERM HUP
    [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null || true
    for ns in mn-a mn-b; do ip netns delete "$ns" 2>/dev/null || true; done
    rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

ip netns add mn-a
ip netns add mn-b
ip -n mn-a link add u0 type veth peer name u0 netns mn-b
for end in a:1 b:2; do
    ip -n "mn-${end%:*}" address add "10.99.0.${end#*:}/24" dev u0
    ip -n "mn-${end%:*}" link set u0 up
done

# Each has a run-time directory of its own, as on two hosts. --insecure: this wire is not encrypted.
udp=(--no-shm --insecure)
ip netns exec mn-a "$MINET" run --name a --id 1 --run-dir "$run/a" "${udp[@]}" \
    --listen 10.99.0.1:7400 --peer 10.99.0.2:7400 2>"$run/a.log" & pids+=($!)
ip netns exec mn-b "$MINET" run --name b --id 2 --run-dir "$run/b" "${udp[@]}" \
    --listen 10.99.0.2:7400 --peer 10.99.0.1:7400 2>"$run/b.log" & pids+=($!)

# Until the other side answers, half a minute at most.
for _ in {1..60}; do
    ip netns exec mn-a ping -c 1 -W 0.5 10.77.0.2 >/dev/null 2>&1 && break
    kill -0 "${pids[@]}" || { cat "$run"/*.log; exit 1; }
done
ip netns exec mn-a ping -c 3 -i 0.2 10.77.0.2
ip netns exec mn-a ping -c 3 -i 0.2 fd4d::2
"$MINET" links --run-dir "$run/a" --name a

if [ -t 0 ]; then read -rp "Enter ends it. "; fi
