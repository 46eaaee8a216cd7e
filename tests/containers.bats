#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# Containers, by podman: the host loads, and what runs in them meets by its pins;
# and images that the shim does not fit, which run on plain TCP.

# shellcheck disable=SC2030,SC2031,SC2154 # each test's "status" and "stderr" are its own

load helpers
load twoends
load containers

LIB=/usr/local/lib/sockshunt
ENTRYPOINT=$LIB/sockshunt-entrypoint
# The containers' own configuration is the default.
# shellcheck disable=SC2034 # for exchange
WARM=$'warm\n'

setup_file() {
	local name

	export MISSING=''
	for name in podman runc catatonit musl-gcc busybox; do
		type -P $name >/dev/null || MISSING+=" $name"
	done
	[[ -z $MISSING ]] || return 0
	podman_here
	install_here
	new_root "$HERE/root"
	ln -s dash "$HERE/root/bin/sh"
	add_programs "$HERE/root" dash bash cat cp env id sleep \
		redis-server redis-cli "$BIN/twoends" "$SOCKSHUNT"
	mv "$HERE/root"{"$BIN/twoends","$SOCKSHUNT"} "$HERE/root/usr/bin/"
	import "$HERE/root" app --change 'CMD ["redis-server"]'
	jq -f "$ROOT/conf/containers/seccomp.jq" \
		/usr/share/containers/seccomp.json >"$HERE/sockshunt.json"
}

teardown_file() {
	[[ -z $MISSING ]] || return 0
	podman_gone
	install_gone
}

setup() {
	[[ -z $MISSING ]] || skip "run tools/setup.sh containers; missing:$MISSING"
	unset SOCKSHUNT_LOG SOCKSHUNT_LOG_FILE SOCKSHUNT_DISABLE LD_PRELOAD
	own_configuration
	PINS=/sys/fs/bpf/sockshunt
	configure
	SOCKSHUNT=/usr/local/bin/sockshunt
	SHIM=$LIB/libsockshunt.so
	BIN=/usr/bin # in the images
	cd "$HERE" || return
	# What a container is given to be accelerated.
	WITH=(-v "$LIB:$LIB:ro" -v /sys/fs/bpf/sockshunt:/run/sockshunt
		--security-opt seccomp=sockshunt.json)
	RUN=(podman run -i --rm --network none)
}

teardown() {
	[[ -z $MISSING ]] || return 0
	podman rm --all --force --time 0 >/dev/null
	end_servers
	[[ ${#MOUNTED[@]} -eq 0 ]] || umount "${MOUNTED[@]}"
}

# in_app COMMAND...: in a container of the image "app", accelerated.
in_app() {
	"${RUN[@]}" "${WITH[@]}" app $ENTRYPOINT "$@"
}

# address_of CONTAINER NETWORK
address_of() {
	podman inspect --format \
		"{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"
}

redis_answers() { # COMMAND...
	[[ $("$@" ping) == PONG ]]
}

#
# What the entrypoint keeps
#

@test "containers: a bind mount, before the command" {
	sockshunt load
	exchange podman run -i --rm \
		-v /usr/local/lib/sockshunt:/usr/local/lib/sockshunt:ro \
		-v /sys/fs/bpf/sockshunt:/run/sockshunt \
		--security-opt seccomp=sockshunt.json \
		app /usr/local/lib/sockshunt/sockshunt-entrypoint
	was_redirected
	is_quiet
	assert_counter registered -eq 2
	assert_counter redirected_bytes -ge 10000
}

@test "containers: without the entrypoint, it is plain TCP" {
	sockshunt load
	exchange "${RUN[@]}" "${WITH[@]}" app
	was_plain
	is_quiet
	assert_counter registered -eq 0
}

@test "containers: the image's own ENTRYPOINT and command" {
	local own

	mkdir service
	printf '#!/bin/sh\necho "entered: $*"\nexec "$@"\n' >service/enter.sh
	chmod +x service/enter.sh
	podman build -q -t service -f - service <<-END
		FROM app
		COPY enter.sh /
		ENTRYPOINT ["/enter.sh"]
		CMD ["redis-server", "--port", "7000"]
	END
	sockshunt load
	own=$(podman image inspect service --format \
		'{{join .Config.Entrypoint " "}} {{join .Config.Cmd " "}}')
	# shellcheck disable=SC2086 # its words
	podman run -d --name own --network none "${WITH[@]}" \
		--entrypoint $ENTRYPOINT service $own
	eventually redis_answers podman exec own redis-cli -p 7000
	podman logs own | grep -x 'entered: redis-server --port 7000'
	[[ $(podman exec own cat /proc/1/comm) == redis-server ]]
	podman exec own $ENTRYPOINT redis-cli -p 7000 -r 10 ping
	assert_counter redirected_messages -ge 1
}

@test "containers: an image with our ENTRYPOINT keeps its arguments" {
	podman build -q -f "$ROOT/conf/containers/Containerfile" \
		--build-arg IMAGE=app -t app-sockshunt /usr/local/lib/sockshunt
	sockshunt load
	exchange "${RUN[@]}" -v /sys/fs/bpf/sockshunt:/run/sockshunt \
		--security-opt seccomp=sockshunt.json app-sockshunt
	was_redirected
	is_quiet
	assert_counter redirected_bytes -ge 10000
	run --separate-stderr podman run --rm app-sockshunt
	[[ $status -eq 2 && $stderr == *"no command"* ]] || fail_with
}

@test "containers: an init container copies it into a volume" {
	podman image exists app-sockshunt || podman build -q \
		-f "$ROOT/conf/containers/Containerfile" \
		--build-arg IMAGE=app -t app-sockshunt /usr/local/lib/sockshunt
	sockshunt load
	podman volume create shim
	podman run --rm -v shim:/shim --entrypoint cp app-sockshunt \
		-r /usr/local/lib/sockshunt/. /shim
	exchange podman run -i --rm -v shim:/shim:ro \
		-v /sys/fs/bpf/sockshunt:/run/sockshunt \
		--security-opt seccomp=sockshunt.json \
		app /shim/sockshunt-entrypoint
	was_redirected
	is_quiet
	assert_counter redirected_bytes -ge 10000
	podman volume rm shim
}

@test "containers: arguments, environment and exit status are the command's" {
	sockshunt load
	run --separate-stderr in_app bash -c 'printf "<%s>" "$@"; exit 7' \
		'a  b' '' '*' "\$HOME '\"" $'c\nd'
	[[ $status -eq 7 && $output == "<><*><\$HOME '\"><c"$'\n'"d>" ]] ||
		fail_with "arguments"
	is_quiet
	# Names that the script uses are the image's all the same.
	local same=(--hostname h -e line=1 -e head=2 -e LC_ALL=C.UTF-8)
	local show='env -u LD_PRELOAD -u SOCKSHUNT_CONF env; ls /proc/self/fd; umask; pwd'
	"${RUN[@]}" "${same[@]}" "${WITH[@]}" app bash -c "$show" >without
	"${RUN[@]}" "${same[@]}" "${WITH[@]}" app $ENTRYPOINT bash -c "$show" >with
	diff <(sort without) <(sort with)
	run in_app env
	[[ $output == *"LD_PRELOAD=$SHIM"* ]] || fail_with
	run -127 --separate-stderr in_app no-such-program
	[[ $stderr == *no-such-program*"not found"* ]] ||
		fail_with "expected the shell's line"
}

@test "containers: LD_PRELOAD and SOCKSHUNT_CONF of the image are kept" {
	sockshunt load
	printf '%s\n' '[sockshunt]' 'pin_path = /run/sockshunt' \
		'register_user_space_sockets = false' >own.ini
	run --separate-stderr "${RUN[@]}" "${WITH[@]}" -v ./own.ini:/own.ini \
		-e SOCKSHUNT_CONF=/own.ini -e LD_PRELOAD=/lib/libother.so:/lib/a.so \
		app $ENTRYPOINT env
	[[ $output == *"LD_PRELOAD=$SHIM:/lib/libother.so:/lib/a.so"* ]] || fail_with
	exchange "${RUN[@]}" "${WITH[@]}" -v ./own.ini:/own.ini \
		-e SOCKSHUNT_CONF=/own.ini app $ENTRYPOINT
	was_plain
	exchange "${RUN[@]}" "${WITH[@]}" -v ./own.ini:/etc/sockshunt.ini \
		app $ENTRYPOINT
	was_plain
	assert_counter registered -eq 0
	exchange "${RUN[@]}" "${WITH[@]}" -e SOCKSHUNT_DISABLE=1 app $ENTRYPOINT
	was_plain
	is_quiet
}

@test "containers: the command is PID 1, and gets its signals" {
	sockshunt load
	podman run -d --name server --network none "${WITH[@]}" app \
		$ENTRYPOINT redis-server --save ''
	eventually redis_answers podman exec server $ENTRYPOINT redis-cli
	podman exec server $ENTRYPOINT redis-cli -r 10 ping
	[[ $(podman exec server cat /proc/1/comm) == redis-server ]]
	podman stop --time 10 server
	[[ $(podman inspect server --format '{{.State.ExitCode}}') -eq 0 ]]
	podman logs server | grep -q 'Received SIGTERM'
	assert_counter redirected_messages -ge 1
	podman run -d --name killed --network none "${WITH[@]}" app \
		$ENTRYPOINT redis-server --save ''
	eventually redis_answers podman exec killed redis-cli
	podman kill --signal KILL killed
	[[ $(podman wait killed) -eq 137 ]]
}

@test "containers: the entrypoint needs any shell, and nothing else" {
	local shell

	sockshunt load
	RUN+=(-v "$(type -P busybox):/busybox:ro")
	for shell in dash 'bash --posix' '/busybox sh'; do
		# shellcheck disable=SC2086 # its words
		exchange "${RUN[@]}" "${WITH[@]}" app $shell $ENTRYPOINT
		was_redirected
		is_quiet
	done
	assert_counter redirected_bytes -ge 30000
}

#
# Meeting by the host's pins
#

@test "containers: two on a bridge, and the host" {
	sockshunt load
	podman network create bridge0
	podman run -d --name db --network bridge0 "${WITH[@]}" app \
		$ENTRYPOINT redis-server --protected-mode no --save ''
	local address before
	address=$(address_of db bridge0)
	eventually redis_answers redis-cli -h "$address"
	run -0 podman run --rm --network bridge0 "${WITH[@]}" app \
		$ENTRYPOINT redis-cli -h "$address" -r 50 incr n
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -ge 90
	# From the host, by the bridge's own address.
	before=$(counter redirected_messages)
	LD_PRELOAD=$SHIM run -0 redis-cli -h "$address" -r 50 incr n
	[[ ${lines[49]} == 100 ]]
	assert_counter redirected_messages -ge $((before + 90))
	# A neighbour without the shim is served by TCP.
	before=$(counter redirected_messages)
	run -0 podman run --rm --network bridge0 app redis-cli -h "$address" \
		-r 50 incr n
	[[ ${lines[49]} == 150 ]]
	assert_counter redirected_messages -eq "$before"
}

# Its address is translated between the ends: they cannot find each other.
@test "containers: a published port is plain TCP" {
	sockshunt load
	podman network create published
	podman run -d --name db --network published -p 127.0.0.1:7000:6379 \
		"${WITH[@]}" app $ENTRYPOINT redis-server --protected-mode no --save ''
	eventually redis_answers redis-cli -p 7000
	LD_PRELOAD=$SHIM run -0 redis-cli -p 7000 -r 50 incr n
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -eq 0
}

@test "containers: a pod shares its loopback" {
	sockshunt load
	podman run -d --name first --network none "${WITH[@]}" app \
		$ENTRYPOINT redis-server --save ''
	eventually redis_answers podman exec first redis-cli
	run -0 podman run --rm --network container:first "${WITH[@]}" app \
		$ENTRYPOINT redis-cli -r 50 incr n
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -ge 90
}

@test "containers: without the pins, one line says what is missing" {
	sockshunt load
	exchange "${RUN[@]}" -v "$LIB:$LIB:ro" \
		--security-opt seccomp=sockshunt.json app $ENTRYPOINT
	was_plain
	says "nothing is loaded at /run/sockshunt"
	assert_counter registered -eq 0
}

@test "containers: what is loaded later is met" {
	mkdir "$PINS" # as an engine may do for a mount
	podman run -d --name early --network none "${WITH[@]}" app \
		$ENTRYPOINT redis-server --save ''
	eventually redis_answers podman exec early redis-cli
	podman logs early 2>&1 | grep 'sockshunt.*nothing is loaded at /run/sockshunt'
	sockshunt load
	podman exec -i early $ENTRYPOINT twoends <<<$'warm\nsend 5000\nread\ntcp' |
		grep '^tcp 0$'
	assert_counter redirected_bytes -ge 10000
}

@test "containers: what is loaded anew is met after a restart" {
	sockshunt load
	podman run -d --name old --network none "${WITH[@]}" app \
		$ENTRYPOINT redis-server --save ''
	eventually redis_answers podman exec old $ENTRYPOINT redis-cli
	sockshunt unload --force
	sockshunt load
	redis_answers podman exec old redis-cli
	podman restart --time 5 old
	eventually redis_answers podman exec old redis-cli
	podman exec old $ENTRYPOINT redis-cli -r 10 ping
	assert_counter redirected_messages -ge 1
}

#
# What is taken from a container
#

@test "containers: a read-only root, no capabilities, no new privileges" {
	sockshunt load
	exchange "${RUN[@]}" --read-only --read-only-tmpfs=false --cap-drop all \
		--security-opt no-new-privileges "${WITH[@]}" app $ENTRYPOINT
	was_redirected
	is_quiet
	assert_counter redirected_bytes -ge 10000
}

@test "containers: a user that is not root needs pin_group" {
	sockshunt load
	exchange "${RUN[@]}" --user 1234:1234 "${WITH[@]}" app $ENTRYPOINT
	was_plain
	says "pin_group grants access"
	assert_counter registered -eq 0
	sockshunt unload
	configure 'pin_group = 4321'
	sockshunt load
	exchange "${RUN[@]}" --user 1234:1234 --group-add 4321 "${WITH[@]}" \
		app $ENTRYPOINT
	was_redirected
	is_quiet
	assert_counter redirected_bytes -ge 10000
}

@test "containers: the engine's own seccomp profile forbids bpf(2)" {
	sockshunt load
	exchange "${RUN[@]}" -v "$LIB:$LIB:ro" \
		-v /sys/fs/bpf/sockshunt:/run/sockshunt app $ENTRYPOINT
	was_plain
	says "bpf(2) is forbidden by a seccomp filter"
	assert_counter registered -eq 0
}

@test "containers: our seccomp profile lets nobody load" {
	local loads=("${RUN[@]}" --cap-add "BPF,NET_ADMIN,PERFMON"
		-v "$LIB:$LIB:ro" -v /sys/fs/bpf:/sys/fs/bpf)

	refuses "cannot load the built-in object" "${loads[@]}" \
		--security-opt seccomp=sockshunt.json app sockshunt load
	[[ ! -e $PINS/control ]]
	# For want of nothing else.
	succeeds "${loads[@]}" --security-opt seccomp=unconfined app sockshunt load
	[[ -e $PINS/control ]]
}

@test "containers: a rootless one needs pin_group" {
	local user=34567 without

	# Before 5.19, all of bpf(2) was privileged.
	printf '%s\n' 5.19 "$(uname -r)" | sort -CV || without=1
	rootless_here $user
	as_user $user unshare --user true ||
		skip "optional: users may not make namespaces here"
	podman save --quiet --output app.tar app
	sockshunt load
	as_user $user podman load --quiet --input app.tar
	SERVERS+=("$(cat "$SANDBOX/user/run/libpod/tmp/pause.pid")") # keeps its namespace
	RUN=(as_user "$user" "${RUN[@]}")
	exchange "${RUN[@]}" "${WITH[@]}" app $ENTRYPOINT
	was_plain
	says "connections stay on plain TCP"
	assert_counter registered -eq 0
	sockshunt unload
	configure "pin_group = $user" # the user's own
	sockshunt load
	exchange "${RUN[@]}" "${WITH[@]}" app $ENTRYPOINT
	if [[ -n $without ]]; then
		was_plain
		says "connections stay on plain TCP"
	else
		was_redirected
		is_quiet
		assert_counter redirected_bytes -ge 10000
	fi
}

#
# Images that are otherwise
#

@test "containers: an image that clears the environment" {
	sockshunt load
	echo "$LIB/libsockshunt.so" >preload
	exchange "${RUN[@]}" "${WITH[@]}" app $ENTRYPOINT env -i
	was_plain # nothing of ours is left
	assert_counter registered -eq 0
	exchange podman run -i --rm \
		-v /usr/local/lib/sockshunt:/usr/local/lib/sockshunt:ro \
		-v /usr/local/lib/sockshunt/container.ini:/etc/sockshunt.ini:ro \
		-v ./preload:/etc/ld.so.preload:ro \
		-v /sys/fs/bpf/sockshunt:/run/sockshunt \
		--security-opt seccomp=sockshunt.json app env -i
	was_redirected
	is_quiet
	assert_counter redirected_bytes -ge 10000
}

@test "containers: an image whose glibc is too old is left on TCP" {
	local newest

	sockshunt load
	# As ours is to an old image, a shim that wants a version to come is to this.
	newest=$(objdump -T "$SHIM" | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -n 1)
	cp -r "$LIB" newer
	sed -i "s/$newest/GLIBC_2.99/" newer/libsockshunt.so
	run -1 "${RUN[@]}" -v ./newer:/newer -e LD_PRELOAD=/newer/libsockshunt.so \
		app cat /dev/null
	exchange "${RUN[@]}" "${WITH[@]}" -v ./newer:/newer app \
		/newer/sockshunt-entrypoint
	was_plain
	says "cannot load the shim: "
	says "version \`GLIBC_2.99' not found; connections stay on plain TCP"
	assert_counter registered -eq 0
}

@test "containers: an image of Debian 11 is left on TCP" {
	# shellcheck disable=SC2016 # Perl's own
	local old program='use IO::Socket::INET;
		my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1");
		my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1",
			PeerPort => $l->sockport);
		print $c "by TCP\n";
		print $l->accept->getline;
		exit 7'

	old=$("$ROOT/tests/kernels/sysroot" "$(dpkg --print-architecture)" \
		bullseye bash perl-base) ||
		skip "optional: packages of Debian 11 cannot be had"
	import "$old" debian11
	sockshunt load
	run -1 "${RUN[@]}" "${WITH[@]}" -e "LD_PRELOAD=$SHIM" debian11 \
		perl -e "$program"
	run -7 --separate-stderr "${RUN[@]}" "${WITH[@]}" debian11 $ENTRYPOINT \
		perl -e "$program"
	[[ $output == "by TCP" ]] || fail_with
	says "version \`GLIBC_2.3"
	says "not found; connections stay on plain TCP"
	assert_counter registered -eq 0
}

@test "containers: an image of two C libraries or machines is left on TCP" {
	local musl other=/lib/ld-linux-aarch64.so.1

	[[ $(uname -m) != aarch64 ]] || other=/lib64/ld-linux-x86-64.so.2
	musl=$(echo /lib/ld-musl-*)
	sockshunt load
	exchange "${RUN[@]}" "${WITH[@]}" -v "$musl:$musl:ro" app $ENTRYPOINT
	was_plain
	says "$musl is in this image, and there is no shim for musl"
	exchange "${RUN[@]}" "${WITH[@]}" -v "$(type -P cat):$other:ro" app $ENTRYPOINT
	was_plain
	says "two kinds of machines"
	assert_counter registered -eq 0
}

@test "containers: a program with a dynamic loader of its own is left on TCP" {
	local loader name

	sockshunt load
	loader=$(ldd "$HERE/root/usr/bin/twoends" | awk '/ld-linux/ { print $1 }')
	name=${loader##*/}
	cp "$HERE/root$loader" "${name/linux/other}"
	sed "s/$name/${name/linux/other}/" "$HERE/root/usr/bin/twoends" >own-loader
	chmod +x own-loader
	BIN=/own
	exchange "${RUN[@]}" "${WITH[@]}" -v ./own-loader:/own/twoends:ro \
		-v "./${name/linux/other}:${loader%/*}/${name/linux/other}:ro" \
		app $ENTRYPOINT
	was_plain
	says "/own/twoends has a dynamic loader of its own"
	# A script is what its interpreter is.
	printf '#!/own/twoends\n' >script
	chmod +x script
	run --separate-stderr "${RUN[@]}" "${WITH[@]}" -v ./script:/script \
		-v ./own-loader:/own/twoends:ro \
		-v "./${name/linux/other}:${loader%/*}/${name/linux/other}:ro" \
		app $ENTRYPOINT /script </dev/null
	says "/script has a dynamic loader of its own"
	assert_counter registered -eq 0
}

@test "containers: an image with musl is left on TCP" {
	local dir=$HERE/musl

	new_root "$dir"
	install -D "$(type -P busybox)" "$dir/bin/busybox"
	ln -s busybox "$dir/bin/sh"
	cp /lib/ld-musl-*.so.1 "$dir/lib/"
	musl-gcc -std=gnu11 -D_GNU_SOURCE -O2 -o "$dir/usr/bin/pingpong" \
		"$ROOT/tests/progs/pingpong.c"
	import "$dir" musl
	sockshunt load
	# Ours would break it.
	run -127 "${RUN[@]}" "${WITH[@]}" -e "LD_PRELOAD=$SHIM" musl pingpong -n 100
	run --separate-stderr "${RUN[@]}" "${WITH[@]}" musl $ENTRYPOINT pingpong -n 100
	[[ $status -eq 0 && $output == [0-9]* ]] || fail_with "expected success"
	says "there is no shim for musl; connections stay on plain TCP"
	assert_counter registered -eq 0
}

@test "containers: an image of static programs says that nothing is preloaded" {
	local dir=$HERE/static

	new_root "$dir"
	install -D "$(type -P busybox)" "$dir/bin/busybox"
	ln -s busybox "$dir/bin/sh"
	import "$dir" static
	sockshunt load
	run --separate-stderr "${RUN[@]}" "${WITH[@]}" static $ENTRYPOINT \
		busybox sh -c 'echo $$; exit 9'
	[[ $status -eq 9 && $output == 1 ]] || fail_with
	says "this image has no dynamic loader"
}

@test "containers: an image without a shell" {
	local dir=$HERE/bare

	new_root "$dir"
	add_programs "$dir" "$HERE/root/usr/bin/twoends"
	mv "$dir$HERE/root/usr/bin/twoends" "$dir/usr/bin/"
	import "$dir" bare
	sockshunt load
	exchange "${RUN[@]}" "${WITH[@]}" \
		-e LD_PRELOAD=/usr/local/lib/sockshunt/libsockshunt.so \
		-e SOCKSHUNT_CONF=/usr/local/lib/sockshunt/container.ini bare
	was_redirected
	is_quiet
	assert_counter redirected_bytes -ge 10000
}

#
# Kubernetes
#

@test "kubernetes: the manifests are what its schema allows" {
	local check=(/usr/bin/python3 "$ROOT/tests/kube_schema.py")

	/usr/bin/python3 -c 'import kubernetes' ||
		skip "run tools/setup.sh containers; missing: python3-kubernetes"
	"${check[@]}" "$ROOT"/conf/containers/*.yaml
	# What it must find out.
	run -1 "${check[@]}" <(sed 's/mountPath/mountpath/
		s/privileged: true/privileged: "yes"/
		/^  selector/,/app:/d' "$ROOT/conf/containers/daemonset.yaml")
	[[ $output == *"unknown field mountpath"* &&
		$output == *"expected bool"* &&
		$output == *"selector"*"must not be"* ]] || fail_with
}

@test "kubernetes: the pods of the DaemonSet and the Deployment" {
	local play=(timeout 60 podman kube play --network pods
		--seccomp-profile-root "$PWD")
	local manifests=$ROOT/conf/containers address

	podman build -q -f "$manifests/sockshunt.Containerfile" \
		--build-arg IMAGE=app -t sockshunt "$HERE/installed"
	podman tag app redis
	podman network create pods
	sed '/^---/,$d' "$manifests/daemonset.yaml" >configmap.yaml
	pod_of "$manifests/daemonset.yaml" DaemonSet >daemonset.json
	pod_of "$manifests/deployment.yaml" Deployment >deployment.json
	"${play[@]}" --configmap configmap.yaml daemonset.json
	[[ $(podman exec sockshunt-loaded sockshunt status --json |
		jq .counters.registered) == 0 ]]
	"${play[@]}" deployment.json
	address=$(address_of "$(podman pod inspect redis --format '{{.InfraContainerID}}')" pods)
	eventually redis_answers redis-cli -h "$address"
	run -0 podman run --rm --network pods "${WITH[@]}" app \
		$ENTRYPOINT redis-cli -h "$address" -r 50 incr n
	[[ ${lines[49]} == 50 ]]
	assert_counter redirected_messages -ge 90
	[[ $(podman exec redis-redis /usr/bin/id -u) -eq 1234 ]]
	! podman logs redis-redis 2>&1 | grep sockshunt || false
	podman pod rm --all --force --time 0
}
