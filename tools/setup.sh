#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# setup.sh [bench] [containers] [kernels [arm64]]: what building, the demo and the
# tests need, from Debian's archive: installed if we are root, else the command to do
# so is printed.
# bench: what the benchmark needs, too.
# containers: what running containers, and another C library, needs, too.
# kernels: what booting other kernels needs, too, of this or that architecture.
set -euo pipefail

packages=(
	# build
	gcc make libc6-dev linux-libc-dev clang
	libbpf-dev libelf-dev zlib1g-dev libinih-dev
	gcc-aarch64-linux-gnu # for tests/arm64.bats
	# tests and benchmarks: the programs that are accelerated, and tools
	bats shellcheck clang-format binutils jq curl file
	systemd iproute2 util-linux procps libcap2-bin liburing-dev libseccomp-dev
	redis-server redis-tools nginx-light wrk memcached sockperf
	haproxy postgresql-15 iperf3 socat python3 openssl
	default-jdk-headless golang-go
)

case "$(uname -m) $*" in
*arm64* | aarch64*) emulator=qemu-system-arm ;;
*) emulator=qemu-system-x86 ;;
esac
for word in "$@"; do
	case $word in
	bench) packages+=(gnuplot-nox valgrind libmemcached-tools) ;;
	containers)
		packages+=(podman runc catatonit musl-tools busybox-static
			python3-kubernetes)
		;;
	kernels) packages+=("$emulator" kmod cpio) ;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "setup: not a Debian system; these packages' contents are needed:" \
		"${packages[*]}" >&2
	exit 0
fi

is_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

missing=()
for package in "${packages[@]}"; do
	is_installed "$package" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $EUID -ne 0 ]]; then
	echo "setup: packages are missing; as root, run:" >&2
	echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# Debian starts a server when it is installed; these are for us to start.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install_missing() {
	apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
		"${missing[@]}" >/dev/null
}
install_missing 2>/dev/null || { apt-get -qq update && install_missing; }
