# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Containers without a registry: podman with a store of its own in the sandbox,
# and images made of this machine's programs.
# shellcheck shell=bash

# overlays_here: faster than copies, but not on top of another overlay.
overlays_here() {
	local dir=$HERE/overlay

	mkdir -p "$dir"/{lower,upper,work,at}
	mount -t overlay -o "lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work" \
		overlay "$dir/at" 2>/dev/null || return 1
	umount "$dir/at"
}

# podman_here: for podman as the tests call it, which is as a user would: its
# store, its networks, and what it keeps at fixed places, are the sandbox's.
podman_here() {
	local driver=vfs

	HERE=$SANDBOX/containers
	mkdir -p "$HERE" /var/lib/cni /var/lib/containers /run/runc
	mount -t tmpfs -o mode=755 tmpfs "$HERE" # podman syncs all the time
	mkdir "$HERE/networks" "$HERE/build"
	! overlays_here || driver=overlay
	cat >"$HERE/storage.conf" <<-END
		[storage]
		driver = "$driver"
		graphroot = "$HERE/images"
		runroot = "$HERE/run"
	END
	# runc: crun needs CAP_SYS_RESOURCE, which a host may lack.
	cat >"$HERE/containers.conf" <<-END
		[containers]
		apparmor_profile = "unconfined" # the kernel would keep another
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		[engine]
		cgroup_manager = "cgroupfs"
		runtime = "runc"
		events_logger = "file"
		lock_type = "file"
		tmp_dir = "$HERE/tmp"
		[network]
		network_config_dir = "$HERE/networks"
	END
	export HERE TMPDIR=$HERE/build
	export CONTAINERS_STORAGE_CONF=$HERE/storage.conf
	export CONTAINERS_CONF=$HERE/containers.conf
	mount -t tmpfs tmpfs /var/lib/cni
	mount -t tmpfs tmpfs /var/lib/containers
	mount -t tmpfs tmpfs /run/runc
	ls -d /sys/fs/cgroup/libpod_parent /sys/fs/cgroup/*/libpod_parent \
		>"$HERE/cgroups" 2>/dev/null || true
}

remove_cgroups() {
	find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -delete
}

podman_gone() {
	podman pod rm --all --force --time 0 >/dev/null
	podman rm --all --force --time 0 >/dev/null
	podman network prune --force >/dev/null
	umount /var/lib/cni /var/lib/containers /run/runc
	# The machine's own podman may have some; and a process takes time to end.
	[[ -s $HERE/cgroups ]] || eventually remove_cgroups
	umount --lazy "$HERE"
}

# new_root DIRECTORY: an empty root, with this machine's links of its top level.
new_root() {
	local dir

	mkdir -p "$1"/{dev,etc,proc,run,sys,tmp,usr}
	for dir in /bin /sbin /lib /lib64; do
		[[ ! -L $dir ]] || ln -s "usr$dir" "$1$dir"
		mkdir -p "$1/usr$dir"
	done
}

# add_programs DIRECTORY NAME...: with the libraries that they are linked with.
add_programs() {
	local dir=$1 name file

	for name in "${@:2}"; do
		name=$(type -P "$name")
		for file in "$name" $(ldd "$name" | grep -o '/[^ ]*'); do
			[[ -e $dir$file ]] || install -D "$file" "$dir$file"
		done
	done
}

# as_user USER COMMAND...: for podman with a store of its own; no privilege.
as_user() {
	setpriv --reuid="$1" --regid="$1" --clear-groups --inh-caps=-all \
		--bounding-set=-all env -i PATH=/usr/bin:/bin "HOME=$SANDBOX/user" \
		"XDG_RUNTIME_DIR=$SANDBOX/user/run" \
		"CONTAINERS_CONF=$SANDBOX/user/containers.conf" \
		"CONTAINERS_STORAGE_CONF=$SANDBOX/user/storage.conf" "${@:2}"
}

# rootless_here USER: an account without subordinate ids, for this mount
# namespace alone.
rootless_here() {
	local file

	mkdir -p "$SANDBOX/user/run"
	cat >"$SANDBOX/user/storage.conf" <<-END
		[storage]
		driver = "vfs"
		graphroot = "$SANDBOX/user/images"
		runroot = "$SANDBOX/user/run" # 50 characters at most
		[storage.options]
		ignore_chown_errors = "true"
	END
	grep -v '_dir' "$CONTAINERS_CONF" >"$SANDBOX/user/containers.conf"
	chown -R "$1:$1" "$SANDBOX/user"
	for file in passwd group; do
		cp "/etc/$file" "$HERE/$file"
	done
	echo "rootless:x:$1:$1::$SANDBOX/user:/bin/sh" >>"$HERE/passwd"
	echo "rootless:x:$1:" >>"$HERE/group"
	for file in passwd group; do
		mount --bind "$HERE/$file" "/etc/$file"
		MOUNTED+=("/etc/$file")
	done
}

# pod_of MANIFEST KIND: the pod that a node would run, for podman 4.3: it starts
# init containers again and again, unless restartPolicy is another; and knows
# seccompProfile by an older name.
pod_of() {
	/usr/bin/python3 -c 'import json, sys, yaml
for document in yaml.safe_load_all(sys.stdin):
    print(json.dumps(document))' <"$1" |
		jq --arg kind "$2" 'select(.kind == $kind) | .metadata.name as $name |
			.spec.template |
			.spec.securityContext.seccompProfile.localhostProfile as $profile | {
			apiVersion: "v1", kind: "Pod",
			metadata: (.metadata + {$name} + if $profile then {annotations: {
				"seccomp.security.alpha.kubernetes.io/pod": "localhost/\($profile)"
			}} else {} end),
			spec: (.spec + {restartPolicy: "OnFailure"})}'
}

# import DIRECTORY IMAGE [CHANGE...]
import() {
	tar -C "$1" -c . | podman import --quiet "${@:3}" - "$2" >/dev/null
}

# Programs at their usual places: an installation, and the sandbox's BPF file
# system, for this suite alone.
install_here() {
	env -u MAKEFLAGS -u MAKELEVEL -u MAKEOVERRIDES make -s -C "$ROOT" \
		install DESTDIR="$HERE/installed" PREFIX=/usr/local 3>&-
	mount --bind "$HERE/installed/usr/local" /usr/local
	mkdir -p /sys/fs/bpf
	mount --bind "$SANDBOX/bpf" /sys/fs/bpf
}

install_gone() {
	umount /usr/local /sys/fs/bpf
}
