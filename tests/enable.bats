#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# sockshunt enable and disable: what is written and removed below another root,
# and what is refused. What systemd makes of it: tests/systemd.bats.
# shellcheck disable=SC2154 # run sets stderr

load helpers

setup() {
	unset SOCKSHUNT_CONF SOCKSHUNT_LOG SOCKSHUNT_LOG_FILE
	SYSTEM=$BATS_TEST_TMPDIR/system
	UNITS=$SYSTEM/etc/systemd/system
	VENDOR=$SYSTEM/usr/lib/systemd/system
	mkdir -p "$UNITS" "$VENDOR"
	make_here install DESTDIR="$SYSTEM" >/dev/null
	ini 'pin_group = sockshunt'
}

ini() {
	printf '%s\n' '[sockshunt]' "$@" >"$SYSTEM/etc/sockshunt.ini"
}

# unit NAME LINE...: the vendor's; service "app" unless NAME has a slash.
unit() {
	local file=$VENDOR/$1

	[[ $1 != /* ]] || file=$SYSTEM$1
	mkdir -p "${file%/*}"
	printf '%s\n' '[Service]' 'ExecStart=/bin/true' "${@:2}" >"$file"
}

sockshunt() {
	run --separate-stderr "$SOCKSHUNT" "$1" --root "$SYSTEM" "${@:2}"
}

drop_in() { # UNIT
	echo "$UNITS/$1.d/50-sockshunt.conf"
}

enables() { # NAME [UNIT]
	sockshunt enable "$1"
	[[ $status -eq 0 && -z $stderr && -s $(drop_in "${2-$1}") ]] || failed
}

disables() { # NAME [UNIT]
	sockshunt disable "$1"
	[[ $status -eq 0 && -z $stderr && ! -e $(drop_in "${2-$1}") ]] || failed
}

failed() {
	printf '%s\n' "exit: $status" "output: $output" "error: $stderr" >&2
	return 1
}

# refuses WHAT COMMAND NAME: with one line, and changes nothing.
refuses() {
	local before

	before=$(find "$SYSTEM" -printf '%p %T@\n')
	sockshunt "${@:2}"
	[[ $status -eq 1 && -z $output && $stderr == sockshunt\[*\]:\ error:*"$1"* &&
		$stderr != *$'\n'* ]] || failed
	[[ $(find "$SYSTEM" -printf '%p %T@\n') == "$before" ]]
}

# has LINE [UNIT], lacks SETTING [UNIT]: the drop-in.
has() {
	grep -qxF "$1" "$(drop_in "${2-app.service}")"
}

lacks() {
	run -1 grep "^$1=" "$(drop_in "${2-app.service}")"
}

@test "enable: Debian's redis-server gets what conf/50-sockshunt.conf shows" {
	local file inode

	file=$(drop_in redis-server.service)
	cp /lib/systemd/system/redis-server.service "$VENDOR/"
	enables redis-server redis-server.service
	[[ $output == "wrote $file" ]]
	cmp "$ROOT/conf/50-sockshunt.conf" "$file"
	[[ $(stat -c %a "$file") == 644 ]]

	inode=$(stat -c '%i %y' "$file")
	enables redis-server.service
	[[ $output == "there already: $file" ]]
	[[ $(stat -c '%i %y' "$file") == "$inode" ]]

	disables redis-server redis-server.service
	[[ $output == "removed $file" ]]
	[[ ! -e ${file%/*} ]]
	disables redis-server redis-server.service
	[[ $output == "not there: $file" ]]
	[[ -z $(ls -A "$UNITS") ]]
}

@test "enable: a plain service gets LD_PRELOAD and the order, and no more" {
	unit app.service
	enables app.service
	[[ $(grep -v '^#' "$(drop_in app.service)") == "[Unit]
Wants=sockshunt.service
After=sockshunt.service

[Service]
Environment=LD_PRELOAD=/usr/local/lib/sockshunt/libsockshunt.so" ]]
}

@test "enable: what is hardened is opened, and nothing else" {
	unit app.service 'User=nobody' 'SystemCallFilter=~@mount'
	enables app.service
	has SupplementaryGroups=sockshunt
	has SystemCallFilter=bpf
	lacks ExecPaths

	# Without a filter of the unit's own, ours would forbid all but bpf(2).
	unit app.service 'User=root' 'SystemCallFilter=@system-service' \
		'SystemCallFilter=' 'NoExecPaths=/' 'ExecPaths=/bin'
	enables app.service
	lacks SupplementaryGroups
	lacks SystemCallFilter
	has ExecPaths=-/usr/local/lib/sockshunt

	unit app.service 'DynamicUser=yes' '# SystemCallFilter=x' \
		$'ExecStopPost=/bin/echo \\' '# a comment' 'SystemCallFilter=' \
		'[Install]' 'NoExecPaths=/'
	enables app.service
	has SupplementaryGroups=sockshunt
	lacks SystemCallFilter
	lacks ExecPaths
}

@test "enable: drop-ins count, of every directory and name that systemd reads" {
	local directory

	unit app-one@.service
	for directory in /etc/systemd/system/app-one@1.service.d \
		/run/systemd/system/app-one@.service.d \
		/usr/local/lib/systemd/system/app-.service.d \
		/usr/lib/systemd/system/service.d; do
		enables app-one@1.service
		lacks SystemCallFilter app-one@1.service
		unit "$directory/10-filter.conf" 'SystemCallFilter=@network-io'
		enables app-one@1.service
		has SystemCallFilter=bpf app-one@1.service
		rm -r "${SYSTEM:?}$directory/10-filter.conf"
	done
	# The administrator's file hides the vendor's of the same name.
	unit /usr/lib/systemd/system/app-one@.service.d/10-filter.conf \
		'SystemCallFilter=@network-io'
	unit /etc/systemd/system/app-one@.service.d/10-filter.conf
	enables app-one@1.service
	lacks SystemCallFilter app-one@1.service
}

@test "enable: a drop-in that comes later and may undo ours is named" {
	local later=$UNITS/app.service.d/override.conf

	unit app.service
	unit "${later#"$SYSTEM"}" 'SystemCallFilter=' 'SystemCallFilter=@system-service'
	sockshunt enable app
	[[ $status -eq 0 && $stderr == *"warn: app.service: $later:3 "* &&
		$stderr != *$'\n'* ]] || failed
	mv "$later" "${later%/*}/40-override.conf"
	enables app app.service
	has SystemCallFilter=bpf
}

@test "enable: templates, instances, aliases and linked files" {
	unit app@.service
	enables app@ app@.service
	enables app@7 app@7.service
	disables app@ app@.service
	[[ -e $(drop_in app@7.service) ]]
	disables app@7.service

	# Links that lead out of an image when they are followed.
	unit real.service
	ln -s /usr/lib/systemd/system/real.service "$UNITS/alias.service"
	enables alias real.service
	disables alias.service real.service
	ln -s /lib/systemd/system/app@.service "$UNITS/other@.service"
	enables other@x app@x.service
	unit /opt/far.service 'SystemCallFilter=@system-service'
	ln -s /opt/far.service "$UNITS/far.service"
	enables far far.service
	has SystemCallFilter=bpf far.service
}

@test "enable: bad names, and units that are none, get one line" {
	local name

	for name in '' / a/b ../app .service @.service 'a b' $'a\nb' 'a*' \
		"$(printf 'a%.0s' {1..300})"; do
		refuses "is not a unit's name" enable "$name"
		refuses "is not a unit's name" disable "$name"
	done
	refuses "app.socket is not a service" enable app.socket
	refuses "app.service: there is none" enable app
	ln -s /dev/null "$UNITS/app.service"
	refuses "it is masked" enable app
	rm "$UNITS/app.service"
	ln -s b.service "$UNITS/a.service"
	ln -s a.service "$UNITS/b.service"
	refuses "there is none" enable a
	refuses "sockshunt.service loads what others use" enable sockshunt
}

@test "enable: an LD_PRELOAD that is there is not lost" {
	local line

	for line in Environment=LD_PRELOAD=libjemalloc.so.2 \
		'Environment=A=1 "LD_PRELOAD=/x y.so" B=2' \
		"Environment=A=1 'LD_PRELOAD=x'" \
		'UnsetEnvironment=A LD_PRELOAD'; do
		unit app.service User=root "$line"
		refuses "$VENDOR/app.service:4 decides on LD_PRELOAD" enable app
	done
	unit app.service Environment=A=1 EnvironmentFile=-/etc/default/app*
	mkdir "$SYSTEM/etc/default"
	echo ' LD_PRELOAD=libjemalloc.so.2' >"$SYSTEM/etc/default/app.env"
	refuses "$SYSTEM/etc/default/app.env:1 decides" enable app
	rm "$SYSTEM/etc/default/app.env"
	enables app app.service

	# In a drop-in; and one that was taken back.
	unit /run/systemd/system/app.service.d/x.conf Environment=LD_PRELOAD=x
	refuses "app.service.d/x.conf:3 decides" enable app
	unit /run/systemd/system/app.service.d/y.conf Environment= \
		Environment=OLD_LD_PRELOAD=x Environment=LD_PRELOAD_OLD=x
	sockshunt enable app
	[[ $status -eq 0 && $stderr == *" warn: "*"y.conf:3 is read after"* ]] || failed
}

@test "enable: where the shim could not get through, nothing is written" {
	unit app.service User=app
	ini
	refuses 'pin_group is empty' enable app
	rm "$SYSTEM/etc/sockshunt.ini"
	refuses 'pin_group is empty' enable app
	ini 'pin_group = a b'
	refuses 'sockshunt.ini:2: pin_group' enable app
	ini 'pin_group = sockshunt'
	unit app.service RootDirectory=/srv/app
	refuses 'app.service:3 gives it a root of its own' enable app
	unit app.service
	rm "$SYSTEM/usr/local/lib/sockshunt/libsockshunt.so"
	refuses 'cannot find libsockshunt.so' enable app
	run --separate-stderr "$SOCKSHUNT" enable --root "$SYSTEM/none" app
	[[ $status -eq 1 && $stderr == *"--root $SYSTEM/none: No such file"* ]]
}

@test "enable: only our own file is replaced or removed" {
	local file

	unit app.service
	file=$(drop_in app.service)
	unit "${file#"$SYSTEM"}" Nice=5
	refuses 'was not written by' enable app
	refuses 'was not written by' disable app
	: >"$file"
	refuses 'was not written by' disable app
	rm "$file"

	unit "${file#"$SYSTEM"}" # makes the directory
	mv "$file" "${file%/*}/60-other.conf"
	enables app app.service
	disables app app.service
	[[ $(ls "${file%/*}") == 60-other.conf ]]

	# What has gone leaves a drop-in that can be removed.
	enables app app.service
	rm "$VENDOR/app.service"
	disables app app.service
}

@test "enable: without the right to write, one line says so" {
	unit app.service
	chmod 755 "$BATS_RUN_TMPDIR" # for others to get there
	publish
	run --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$SOCKSHUNT" enable --root "$SYSTEM" app
	[[ $status -eq 1 && $stderr == *"cannot create $UNITS/app.service.d: Permission denied (as root?)" ]] ||
		failed
	[[ ! -e $UNITS/app.service.d ]]
	enables app app.service
	run --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$SOCKSHUNT" disable --root "$SYSTEM" app
	[[ $status -eq 1 && $stderr == *"cannot remove $(drop_in app.service): Permission denied"* ]] ||
		failed
}

@test "enable: make uninstall leaves nothing of make install" {
	[[ -e $SYSTEM/usr/local/lib/systemd/system/sockshunt.service ]]
	make_here uninstall DESTDIR="$SYSTEM"
	[[ -z $(find "$SYSTEM/usr/local" -name '*sockshunt*') ]]
	make_here install DESTDIR="$SYSTEM" BINDIR=/opt/bin \
		UNITDIR=/usr/lib/systemd/system >/dev/null
	grep -qx 'ExecStart=/opt/bin/sockshunt load' "$VENDOR/sockshunt.service"
	grep -qx 'ExecStop=/opt/bin/sockshunt unload --force' \
		"$VENDOR/sockshunt.service"
}
