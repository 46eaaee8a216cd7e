#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Kernels, containers and service managers that refuse what we need: a program
# then runs on plain TCP, loses no byte, and one line says why.

# shellcheck disable=SC2030,SC2031 # each test's "status" is its own

load helpers
load twoends

# filtered DEFAULT [RULE...] -- COMMAND...: under that seccomp filter; see
# tests/progs/filter.h. In a directory where a core file would be seen.
filtered() {
	mkdir -p "$BATS_TEST_TMPDIR/cores"
	(cd "$BATS_TEST_TMPDIR/cores" && ulimit -c unlimited &&
		exec "$BIN/filter" "$@")
}

no_core_file() {
	[[ -z $(ls -A "$BATS_TEST_TMPDIR/cores") ]] ||
		fail_with "$(ls -l "$BATS_TEST_TMPDIR/cores")"
}

# stays_on_tcp LINE COMMAND...: a preloaded program that COMMAND runs; and one
# line says why.
stays_on_tcp() {
	exchange "${@:2}" "${SHIMMED[@]}"
	was_plain
	says "$1"
	says "plain TCP"
}

# nor_loads LINE COMMAND...: sockshunt load is refused, too.
nor_loads() {
	refuses "$1" "${@:2}" "$SOCKSHUNT" load
	[[ ! -e $PINS/control ]] || fail_with "it is loaded"
}

# as_on_tcp COMMAND...: real programs, and children, as on plain TCP: 7 is their
# exit status.
as_on_tcp() {
	# shellcheck disable=SC2016 # its own shell expands it
	run --separate-stderr "$@" "${SHIMMED[@]}" bash -c '
		timeout 60 "$0" sigchld_ignored no_child_appears no_sigchld \
			two_processes fork_serves dup_survives || exit 1
		exit 7' "$BIN/scenarios"
	[[ $status -eq 7 ]] || fail_with "expected exit status 7"
}

#
# Seccomp filters that were inherited
#

# refuses_bpf WHAT DEFAULT [RULE...]: of such a filter; with nothing loaded, and
# then with what others have loaded.
refuses_bpf() {
	local line="bpf(2) is forbidden by a seccomp filter ($1"

	stays_on_tcp "$line" filtered "${@:2}" --
	says "SystemCallFilter="
	nor_loads "$line" filtered "${@:2}" --
	"$SOCKSHUNT" load
	stays_on_tcp "$line" filtered "${@:2}" --
	as_on_tcp filtered "${@:2}" --
	refuses "$line" filtered "${@:2}" -- "$SOCKSHUNT" unload
	run --separate-stderr filtered "${@:2}" -- "$SOCKSHUNT" status
	[[ $status -eq 1 && $output == *"no access"*"$line"* ]] || fail_with
	assert_counter registered -eq 0
	assert_counter redirected_messages -eq 0
	no_core_file
}

@test "seccomp: a filter that kills the process for bpf(2)" {
	refuses_bpf "which would kill" allow kill=bpf
}

@test "seccomp: a filter that kills the thread for bpf(2)" {
	refuses_bpf "which would kill" allow kill-thread=bpf
}

@test "seccomp: a filter that sends SIGSYS for bpf(2)" {
	refuses_bpf "which would kill" allow trap=bpf
}

@test "seccomp: a filter that refuses bpf(2) with EPERM" {
	refuses_bpf "Operation not permitted" allow errno:1=bpf
}

@test "seccomp: a filter that refuses bpf(2) with ENOSYS" {
	refuses_bpf "Function not implemented" allow errno:38=bpf
}

@test "seccomp: Docker's default: what is not allowed is EPERM" {
	refuses_bpf "Operation not permitted" errno:1 allow=@container
}

@test "seccomp: systemd's SystemCallFilter=: what is not allowed kills" {
	refuses_bpf "which would kill" kill allow=@container
}

# serves COMMAND...: redis, which COMMAND runs, and its client likewise.
serves() {
	local i=${#SERVERS[@]}
	local port=$((7400 + i))

	start "$@" "${SHIMMED[@]}" redis-server --port "$port" --save ''
	wait_for_port "$port" || fail_with "$(cat "$LOG")"
	seq 100000 | "$@" "${SHIMMED[@]}" redis-cli -p "$port" -x set numbers
	# The client adds a line's end.
	cmp <(seq 100000; echo) \
		<("$@" "${SHIMMED[@]}" redis-cli -p "$port" get numbers)
	redis-cli -p "$port" shutdown nosave
	wait "${SERVERS[i]}"
	[[ $(grep -c '^sockshunt' "$LOG") -eq 1 ]] || fail_with "$(cat "$LOG")"
}

@test "seccomp: redis under Docker's default, and systemd's" {
	"$SOCKSHUNT" load
	serves filtered errno:1 allow=@container --
	serves filtered kill allow=@container --
	assert_counter registered -eq 0
	assert_counter redirected_messages -eq 0
}

@test "seccomp: a filter that kills for another call that we make" {
	"$SOCKSHUNT" load
	exchange filtered allow kill=capget -- "${SHIMMED[@]}"
	was_plain
	says "system call 125 is forbidden by a seccomp filter (which would kill"
	exchange filtered allow kill=getpeername,bpf,prctl -- "${SHIMMED[@]}"
	was_plain
	says "bpf(2) is forbidden"
	assert_counter registered -eq 0
}

@test "seccomp: no guard makes a call that a filter kills for" {
	local calls=fcntl,epoll_create1,getdents64,socketpair,recvmsg

	"$SOCKSHUNT" load
	stays_on_tcp "bpf(2) is forbidden" filtered allow kill=bpf,$calls --
	# Nor is a line worth it.
	exchange filtered allow kill=bpf,ppoll -- "${SHIMMED[@]}"
	was_plain
	is_quiet
	no_core_file
}

@test "seccomp: a filter that lets bpf(2) through changes nothing" {
	exchange filtered allow kill=ptrace,kexec_load -- "${SHIMMED[@]}"
	was_redirected
	is_quiet
	exchange filtered allow log=bpf -- "${SHIMMED[@]}"
	was_redirected
	is_quiet
	assert_counter registered -eq 4
}

#
# Seccomp filters of the program's own
#

# goes_on_without_bpf FILTER: a program that installs it while it has an
# accelerated connection.
goes_on_without_bpf() {
	configure 'log_level = info'
	begin "${SHIMMED[@]}"
	ask 'send 3000' sent
	ask "filter $1" filtered
	ask read 'read 6000'
	ask 'send 3000' sent
	ask read 'read 6000'
	ask tcp 'tcp 0'
	ask dial dialled
	assert_counter registered -eq 2
	[[ $(grep -c . "$ERRORS") -eq 1 ]] || fail_with "$(cat "$ERRORS")"
	grep -q 'info: .*seccomp filter that forbids bpf(2).*stay on TCP' \
		"$ERRORS"
	ends_well
}

# ends_well: closes its descriptors, and runs its exit handlers.
ends_well() {
	local pid=$ENDS_PID status=0

	eval "exec ${ENDS[1]}>&-"
	wait "$pid" || status=$?
	[[ $status -eq 0 ]] || fail_with "exit status $status"
}

@test "seccomp: the program's own filter kills for bpf(2)" {
	goes_on_without_bpf 'allow kill=bpf'
}

@test "seccomp: the program's own filter, installed by prctl(2)" {
	goes_on_without_bpf 'allow kill=bpf,@via-prctl'
}

@test "seccomp: the program's own filter kills the thread, or sends SIGSYS" {
	goes_on_without_bpf 'allow kill-thread=bpf'
	"$SOCKSHUNT" unload --force
	goes_on_without_bpf 'allow trap=bpf'
}

@test "seccomp: the program's own filter refuses bpf(2)" {
	goes_on_without_bpf 'allow errno:1=bpf'
}

@test "seccomp: the program's own filter is a list of all that it needs" {
	goes_on_without_bpf 'kill allow=@container'
}

@test "seccomp: the program's own filter allows no call that only we make" {
	# What twoends calls, and libc for it: nothing of ours may be added.
	local calls=read,write,poll,recvfrom,sendto,getsockopt,exit_group,brk

	calls+=,getpid,socket,connect,accept4,setsockopt,munmap
	begin "${SHIMMED[@]}"
	ask 'send 3000' sent
	ask "filter kill allow=$calls" filtered
	ask read 'read 6000'
	ask 'send 3000' sent
	ask tcp 'tcp 0'
	ask dial dialled
	ends_well # with unread bytes
	assert_counter registered -eq 2
}

@test "seccomp: the program's own filter forbids nothing of ours" {
	begin "${SHIMMED[@]}"
	ask 'filter allow kill=ptrace errno:1=kexec_load' filtered
	ask dial dialled
	assert_counter registered -eq 4
	[[ ! -s $ERRORS ]] || fail_with "$(cat "$ERRORS")"
	ends_well
}

@test "seccomp: strict mode: nothing of ours runs" {
	run --separate-stderr "${SHIMMED[@]}" "$BIN/twoends" \
		<<<$'send 3000\nread\nstrict'
	[[ $status -eq 0 && $output == *$'\nread 6000\nstrict' ]] || fail_with
	is_quiet
	assert_counter registered -eq 2
}

#
# Kernels without what is needed
#

@test "no BTF: one line says that the kernel has none" {
	local line="there is no /sys/kernel/btf/vmlinux: needs a kernel with BTF"

	nor_loads "$line" hidden
	exchange hidden "${SHIMMED[@]}"
	was_plain
	says "$line"
	as_on_tcp hidden
	nor_loads "$line" hidden
	# What has been loaded can be used there.
	"$SOCKSHUNT" load
	exchange hidden "${SHIMMED[@]}"
	was_redirected
	is_quiet
}

# without CAPABILITY[,...] COMMAND...: root, but for these.
without() {
	setpriv --inh-caps=-all --bounding-set="-${1//,/,-}" "${@:2}"
}

# locked_down COMMAND...: where the kernel says that it is. What it then refuses
# is a matter for booting so; the refusal here is for want of CAP_PERFMON.
locked_down() {
	# shellcheck disable=SC2016 # its own shell expands it
	unshare --mount sh -ec 'mount -t tmpfs none /sys/kernel/security
		echo "none integrity [confidentiality]" \
			>/sys/kernel/security/lockdown
		exec setpriv --inh-caps=-all \
			--bounding-set=-perfmon,-sys_admin "$@"' sh "$@"
}

@test "lockdown: a line names it" {
	local line="/sys/kernel/security/lockdown says confidentiality"

	[[ -d /sys/kernel/security ]] || skip "optional: no securityfs"
	nor_loads "$line" locked_down
	exchange locked_down "${SHIMMED[@]}"
	was_plain
	says "$line"
}

#
# BPF file systems
#

NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all
	--bounding-set=-all)

# own_bpffs OPTIONS: at OWN, with pin_path below it; gone with the sandbox.
own_bpffs() {
	OWN=$SANDBOX/own-$BATS_SUITE_TEST_NUMBER
	mkdir "$OWN"
	mount -t bpf -o "$1" bpf "$OWN"
	PINS=$OWN/pins
	configure
}

@test "bpffs: one that may not be entered" {
	publish
	own_bpffs mode=0700
	stays_on_tcp "a directory above pin_path may not be entered" "${NOBODY[@]}"
	nor_loads "cannot create pin_path $PINS: Permission denied" "${NOBODY[@]}"
	"$SOCKSHUNT" load
	stays_on_tcp "a directory above pin_path may not be entered" "${NOBODY[@]}"
	chmod 755 "$OWN"
	stays_on_tcp "Permission denied (pin_group grants access)" "${NOBODY[@]}"
	assert_counter registered -eq 0
}

@test "bpffs: one that is read-only" {
	own_bpffs mode=0755
	"$SOCKSHUNT" load
	mount -o remount,ro "$OWN"
	stays_on_tcp "$PINS: cannot open $PINS/control: Read-only file system"
	as_on_tcp
	mount -o remount,rw "$OWN"
	"$SOCKSHUNT" unload
	mount -o remount,ro "$OWN"
	nor_loads "cannot create pin_path $PINS: Read-only file system"
	# A map of one's own needs no pin.
	exchange "${SHIMMED[@]}"
	was_redirected
	says "Read-only file system: only connections inside this process"
}

@test "bpffs: none where pin_path is" {
	publish
	PINS=/sys/fs/bpf/sockshunt
	configure
	while umount /sys/fs/bpf 2>/dev/null; do :; done # ours: the sandbox's
	stays_on_tcp "nothing is loaded at $PINS" "${NOBODY[@]}"
	nor_loads "cannot create pin_path $PINS" "${NOBODY[@]}"
	# Who may not mount one, but load, has a map of its own.
	exchange without sys_admin "${SHIMMED[@]}"
	was_redirected
	says "only connections inside this process"
}

#
# cgroups
#

# no_cgroup WHY DIRECTORY: is a warning, and the shim registers as ever.
no_cgroup() {
	local line="warn: cgroup_path: cannot attach to $2: $1"

	configure "cgroup_path = $2"
	run --separate-stderr "$SOCKSHUNT" load
	[[ $status -eq 0 ]] || fail_with
	says "$line"
	[[ $("$SOCKSHUNT" status --json | jq -r .cgroup_path) == "" ]]
	"$SOCKSHUNT" unload
	exchange "${SHIMMED[@]}"
	was_redirected
	says "$line"
}

@test "cgroup_path: a directory of cgroup v1" {
	local v1

	v1=$(awk '$3 == "cgroup" { print $2; exit }' /proc/self/mounts)
	[[ -n $v1 ]] || skip "optional: no cgroup v1 hierarchy is mounted"
	no_cgroup "it belongs to cgroup v1; a directory of a cgroup2" "$v1"
}

@test "cgroup_path: a directory that is no cgroup" {
	mkdir "$BATS_TEST_TMPDIR/none"
	no_cgroup "it is no cgroup; a directory of a cgroup2" \
		"$BATS_TEST_TMPDIR/none"
}
