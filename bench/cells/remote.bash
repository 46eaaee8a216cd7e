# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What a connection costs that cannot be accelerated: to a peer without the shim,
# in a namespace whose address no shim has told. Both ends on one CPU.
# shellcheck shell=bash

REMOTE_IP=10.77.0.2
REMOTE_PORT=7700       # ping-pong
REMOTE_CHURN_PORT=7701 # connect, exchange, close
REMOTE_STARTED=

cell remote_pingpong us lower "tcp shim cgroup" quick
cell remote_churn us lower "tcp shim cgroup"
cell_not_redirected remote_pingpong
cell_not_redirected remote_churn

in_remote() {
	nsenter --net=/run/netns/remote "$@"
}

# One peer for all sides: it is on none.
remote_start() { # SIDE
	[[ -z $REMOTE_STARTED ]] || return 0
	REMOTE_STARTED=yes
	ip netns add remote
	ip link add remote0 type veth peer name remote1 netns remote
	ip addr add 10.77.0.1/24 dev remote0
	ip link set remote0 up
	ip -n remote addr add "$REMOTE_IP/24" dev remote1
	ip -n remote link set remote1 up
	remote_server pingpong "$REMOTE_PORT"
	remote_server churn "$REMOTE_CHURN_PORT"
}

remote_server() { # WORKLOAD PORT
	placement same
	start "$SANDBOX/remote-$1.log" in_remote "$LOAD" "$1" -e server \
		-a "$REMOTE_IP:$2" "${PLACEMENT[@]}"
	eventually listens_on "$2" in_remote || die "the remote peer did not start"
}

remote_round() { # CELL SIDE SECONDS RAW
	local port=$REMOTE_PORT

	[[ $1 != remote_churn ]] || port=$REMOTE_CHURN_PORT
	placement same
	load_round "$2" "$4" mean "${1#remote_}" -t "$3" -e client \
		-a "$REMOTE_IP:$port" "${PLACEMENT[@]}"
}

remote_stop() {
	stop_all
	ip netns delete remote
	REMOTE_STARTED=
}
