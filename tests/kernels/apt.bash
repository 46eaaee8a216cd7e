# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# For what comes from Debian's archive and is unpacked, not installed. It is
# kept in SOCKSHUNT_KERNELS, by default ~/.cache/sockshunt/kernels.
# shellcheck shell=bash

cache=${SOCKSHUNT_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/sockshunt/kernels}

# use_apt ARCH: from here on, apt has a state of its own for that architecture,
# beside the system's: other suites, nothing installed. One at a time.
use_apt() {
	local apt=$cache/apt-$1 mirror suite

	mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial
	: >"$apt/status"
	exec 9>"$cache/lock"
	flock 9
	mirror=$(apt-cache policy 2>/dev/null |
		grep -o -m 1 'https\?://[^ ]*/debian ' | tr -d ' ') || true
	mirror=${mirror:-http://deb.debian.org/debian}
	for suite in bullseye bookworm trixie trixie-backports; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$apt/sources.list"
	for suite in bullseye bookworm trixie; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror-security $suite-security main"
	done >>"$apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		Dir::State "$apt";
		Dir::State::status "$apt/status"; // and its locks
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "-";
		APT::Architecture "$1";
		APT::Architectures "$1";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "2";
	END
	export APT_CONFIG=$apt/apt.conf
}

# The lists are good for a day. Fails if they are not, and cannot be had.
update_apt() {
	local updated=${APT_CONFIG%/*}/updated

	[[ -z $(find "$updated" -mmin -1440 2>/dev/null) ]] || return 0
	apt-get -qq update >&2 && touch "$updated"
}
