#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# A machine that systemd boots, with Debian's own redis-server.service, hardened as
# it is, accelerated by the drop-in of "sockshunt enable". One machine for all.
# shellcheck disable=SC2030,SC2031 # bats runs each test in a subshell

load helpers
load systemd/machine

setup_file() {
	boot_machine '
groupadd --system sockshunt
printf "%s\n" "[sockshunt]" "pin_group = sockshunt" >/etc/sockshunt.ini
systemctl enable sockshunt
sockshunt enable redis-server
systemctl enable redis-server
'
}

teardown_file() {
	halt_machine
}

# gain COUNTER COMMAND...: GAIN is by how much it grows meanwhile.
gain() {
	local before

	before=$(inside_counter "$1")
	"${@:2}"
	GAIN=$(($(inside_counter "$1") - before))
}

inside_counter() {
	inside sockshunt status --json | jq -e ".counters.$1"
}

# ask_redis [PORT]: 1000 questions by a client with the shim; a question and its
# answer are a message each.
ask_redis() {
	run -0 inside sockshunt run redis-benchmark -p "${1-6379}" -q -t get -n 1000 -c 5
	[[ $output == *"GET: "*" requests per second"* && $output != *rror* ]]
}

# The first question of a connection may come before the server has it.
is_accelerated() { # [PORT]
	gain redirected_messages ask_redis "$@"
	[[ $GAIN -gt 1500 ]] && return 0
	echo "only $GAIN messages were redirected" >&2
	inside sockshunt status >&2
	return 1
}

is_plain() { # [PORT]
	gain redirected_messages ask_redis "$@"
	[[ $GAIN -eq 0 ]]
	gain tcp_no_peer ask_redis "$@"
	[[ $GAIN -gt 900 ]]
}

restart() {
	inside systemctl daemon-reload
	inside systemctl restart "$@"
}

# said UNIT: what it has written since it was started.
said() {
	inside journalctl --no-pager -o cat \
		"_SYSTEMD_INVOCATION_ID=$(inside systemctl show -P InvocationID "$1")"
}

says_nothing() { # UNIT
	said "$1" >"$BATS_TEST_TMPDIR/said"
	run -1 grep -i sockshunt "$BATS_TEST_TMPDIR/said"
}

# goes_on FILE LINES: it has more than these now.
goes_on() {
	[[ $(wc -l <"$1") -gt $2 ]]
}

property() { # NAME UNIT
	inside systemctl show -P "$1" "$2"
}

@test "systemd: boots with redis accelerated, and nothing has failed" {
	[[ $(inside systemctl is-system-running) == running ]]
	[[ $(inside cat /proc/1/comm) == systemd ]]
	[[ $(property User redis-server) == redis ]]
	[[ $(property ProtectSystem redis-server) == strict ]]
	[[ $(property SupplementaryGroups redis-server) == sockshunt ]]
	[[ " $(property SystemCallFilter redis-server) " == *" bpf "* ]]
	[[ $(property ActiveState sockshunt) == active ]]
	says_nothing redis-server
	is_accelerated
}

@test "systemd: systemd-analyze verify finds no fault in the units" {
	run -0 inside systemd-analyze verify sockshunt.service redis-server.service
	[[ -z $output ]]
	# It would have.
	inside bash -c 'sed s/^ExecStop=/ExecStopp=/ >/run/wrong.service \
		/usr/local/lib/systemd/system/sockshunt.service'
	run inside systemd-analyze verify /run/wrong.service
	[[ $output == *ExecStopp* ]]
}

@test "systemd: sockshunt.service is confined" {
	run -0 inside systemd-analyze security --no-pager sockshunt.service
	[[ ${lines[*]: -1} =~ level\ for\ sockshunt.service:\ ([0-9]+) ]]
	[[ ${BASH_REMATCH[1]} -le 5 ]]
}

@test "systemd: a stop under load harms no live connection" {
	local file=$BATS_TEST_TMPDIR/live lines live

	inside env LD_PRELOAD=/usr/local/lib/sockshunt/libsockshunt.so python3 \
		-c "$(cat "$ROOT/tests/progs/redis_live.py")" 6379 /run/end \
		>"$file" 2>&1 &
	live=$!
	eventually grep -q '^at 200$' "$file"
	gain redirected_messages sleep 0.3
	[[ $GAIN -gt 100 ]]

	inside systemctl stop sockshunt
	inside test ! -e /sys/fs/bpf/sockshunt
	[[ $(inside redis-cli ping) == PONG ]]
	lines=$(wc -l <"$file")
	eventually goes_on "$file" $((lines + 5))
	inside touch /run/end
	wait "$live"
	tail -n 1 "$file" | grep -x 'rounds [0-9]* same client'
	[[ $(property NRestarts redis-server) -eq 0 ]]

	# The running server keeps to what was unloaded; started again, it meets.
	inside systemctl start sockshunt
	is_plain
	restart redis-server
	is_accelerated
}

@test "systemd: each line of the drop-in is needed, and without it redis serves" {
	local file=/etc/systemd/system/redis-server.service.d/50-sockshunt.conf
	local setting
	local -A line=(
		[SupplementaryGroups]='Permission denied (pin_group grants access)'
		[SystemCallFilter]='bpf(2) is forbidden by a seccomp filter'
		[ExecPaths]='cannot be preloaded'
	)

	for setting in "${!line[@]}"; do
		inside sed -i "/^$setting=/d" "$file"
		restart redis-server
		is_plain
		said redis-server >"$BATS_TEST_TMPDIR/said"
		[[ $(grep -c 'sockshunt' "$BATS_TEST_TMPDIR/said") -ge 1 ]]
		grep -F "${line[$setting]}" "$BATS_TEST_TMPDIR/said"
		inside sockshunt enable redis-server
	done
	restart redis-server
	is_accelerated
}

@test "systemd: a template with a dynamic user and a list of what is forbidden" {
	inside tee /etc/systemd/system/app@.service >/dev/null <<-'END'
		[Service]
		Type=notify
		ExecStart=/usr/bin/redis-server --port %i --supervised systemd --save ''
		DynamicUser=yes
		ProtectSystem=strict
		ProtectHome=yes
		ProtectKernelTunables=yes
		ProtectControlGroups=yes
		PrivateUsers=yes
		PrivateDevices=yes
		PrivateMounts=yes
		RestrictNamespaces=yes
		RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
		MemoryDenyWriteExecute=yes
		SystemCallFilter=~@privileged @debug
	END
	inside sockshunt enable app@
	restart app@7001
	is_accelerated 7001
	inside sockshunt disable app@7001
	is_accelerated 7001
	inside sockshunt disable app@
	restart app@7001
	is_plain 7001
	inside systemctl stop app@7001
}

fetch_pages() {
	run -0 inside sockshunt run wrk -d 1 -c 2 -t 1 http://127.0.0.1/
	[[ $output == *" requests in "* && $output != *Non-2xx* ]]
}

@test "systemd: nginx, which drops privileges by itself, after listen(2)" {
	inside sockshunt enable nginx
	restart nginx
	gain redirected_messages fetch_pages
	[[ $GAIN -gt 100 ]]
	inside systemctl stop nginx
	inside sockshunt disable nginx
}

memcached_listens() {
	inside bash -c ': </dev/tcp/127.0.0.1/11211'
}

ask_memcached() {
	eventually memcached_listens
	inside sockshunt run python3 -c "
import socket
s = socket.create_connection(('127.0.0.1', 11211))
for i in range(100):
    s.sendall(b'get nothing\\r\\n')
    assert s.recv(100) == b'END\\r\\n'"
}

@test "systemd: memcached, which drops groups as well, unless systemd does it" {
	inside sockshunt enable memcached
	restart memcached
	gain redirected_messages ask_memcached
	[[ $GAIN -eq 0 ]]
	said memcached >"$BATS_TEST_TMPDIR/said"
	grep 'pin_group grants access' "$BATS_TEST_TMPDIR/said"

	# Debian's script insists on root.
	inside bash -euc '
mkdir -p /etc/systemd/system/memcached.service.d
printf "%s\n" "[Service]" User=memcache ExecStart= "ExecStart=/usr/bin/memcached -l 127.0.0.1" \
    >/etc/systemd/system/memcached.service.d/40-user.conf
sockshunt enable memcached
'
	restart memcached
	gain redirected_messages ask_memcached
	[[ $GAIN -gt 150 ]]
	inside systemctl stop memcached
	inside sockshunt disable memcached
	inside test -e /etc/systemd/system/memcached.service.d/40-user.conf
}

@test "systemd: where nothing is loaded, redis starts on TCP with one line" {
	inside systemctl stop sockshunt
	inside systemctl mask --runtime sockshunt
	restart redis-server
	said redis-server >"$BATS_TEST_TMPDIR/said"
	[[ $(grep -c 'sockshunt\[.*connections stay on plain TCP' \
		"$BATS_TEST_TMPDIR/said") -eq 1 ]]
	[[ $(inside redis-cli ping) == PONG ]]
	inside systemctl unmask --runtime sockshunt
	# Wanted by the drop-in, it is started, and first.
	restart redis-server
	[[ $(property ActiveState sockshunt) == active ]]
	is_accelerated
}

@test "systemd: disabled, redis is as it was" {
	inside sockshunt disable redis-server
	inside test ! -e /etc/systemd/system/redis-server.service.d
	restart redis-server
	[[ -z $(property Environment redis-server) ]]
	[[ " $(property SystemCallFilter redis-server) " != *" bpf "* ]]
	is_plain
}

@test "systemd: services start when the shim has gone" {
	inside sockshunt enable redis-server
	inside rm -r /usr/local/lib/sockshunt
	restart redis-server
	[[ $(inside redis-cli ping) == PONG ]]
}
