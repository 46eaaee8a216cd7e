/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "runtime.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "../bpf/privilege.h"
#include "../bpf/sysbpf.h"
#include "busypoll.h"
#include "enroll.h"
#include "hooks.h"
#include "hosts.h"
#include "ownfd.h"
#include "spawn.h"
#include "undisturbed.h"
#include "unmerge.h"
#include "worth.h"

#define LOADER "sockshunt-loader" /* in the shim's own directory */

enum {
	SS_ASLEEP,
	SS_STARTING,
	SS_ON,
	SS_OFF
};

struct ss_runtime ss_runtime;

/*
 * Starting and recovering are done by one thread at a time, perhaps in a
 * handler on a small signal stack: their buffers are static for that.
 */

/*
 * state: SS_ASLEEP .. SS_OFF, atomic; who moves it to SS_STARTING starts.
 * disabled: SOCKSHUNT_DISABLE=1; constant after start-up.
 * recovering: a thread is opening the pin again; the others' sockets stay on
 * TCP meanwhile. Atomic.
 * owner: the process that this memory belongs to (a vfork child's differs),
 * from the first start on; so does watching_forks, for pthread_atfork(3).
 * loader: absolute path of the loader; "" if we could not tell where we are.
 * conf_named: what SOCKSHUNT_CONF was at start-up; programs clear or overwrite
 * their environment.
 */
static int state;
static bool disabled;
static bool recovering;
static pid_t owner;
static bool watching_forks;
static char loader[PATH_MAX];
static char conf_named[PATH_MAX];

static int get_state(void)
{
	return __atomic_load_n(&state, __ATOMIC_ACQUIRE);
}

static void set_state(int new)
{
	__atomic_store_n(&state, new, __ATOMIC_RELEASE);
}

bool ss_runtime_is_on(void)
{
	return get_state() == SS_ON;
}

bool ss_runtime_is_asleep(void)
{
	return get_state() < SS_ON;
}

bool ss_runtime_is_disabled(void)
{
	return disabled;
}

bool ss_runtime_owns_memory(void)
{
	return getpid() == owner;
}

void ss_runtime_off(const char *why)
{
	set_state(SS_OFF);
	ss_log(SS_LOG_WARN, "%s; connections stay on plain TCP", why);
}

static bool use(enum ss_pins_result result, struct ss_pins *pins, bool inherit)
{
	if (result != SS_PINS_OK)
		return false;
	ss_runtime.control = pins->control;
	for (int i = 0; i < SS_OBJECT_CONTROL; i++) {
		if (pins->fds[i] >= 0)
			ss_ownfd_keep((enum ss_object_kind)i, pins->fds[i],
				      inherit);
	}
	/* Mapped; whom we execute needs the descriptor, too. */
	if (inherit)
		ss_ownfd_keep(SS_OBJECT_CONTROL, pins->fds[SS_OBJECT_CONTROL],
			      true);
	else
		REAL(close)(pins->fds[SS_OBJECT_CONTROL]);
	return true;
}

static bool use_private(int fds[SS_NR_OBJECTS])
{
	struct ss_pins pins;
	char why[256];

	return use(ss_pins_adopt(fds, &pins, why, sizeof(why)), &pins, true);
}

/* A private map of the program that executed us is at its usual numbers. */
static bool use_inherited(void)
{
	int fds[SS_NR_OBJECTS] = { [0 ... SS_NR_OBJECTS - 1] = -1 };
	int base = ss_ownfd_base();

	if (getauxval(AT_SECURE))
		return false; /* who executed us is not to be trusted */
	for (int fd = base; fd < base + SS_OWNFD_SPAN; fd++) {
		int kind = ss_pins_identify(fd);

		if (kind >= 0)
			fds[kind] = fd;
	}
	return fds[SS_OBJECT_SOCKHASH] >= 0 && fds[SS_OBJECT_CONTROL] >= 0 &&
	       use_private(fds);
}

static bool may_load(void)
{
	__u64 caps;

	if (getauxval(AT_SECURE))
		return false; /* a set-id program runs nothing for its caller */
	caps = ss_effective_caps();
	return ss_has_cap(caps, CAP_BPF) && (caps & (1ULL << CAP_SYS_ADMIN) ||
					     ss_has_cap(caps, CAP_NET_ADMIN));
}

static bool load(const char *conf_file)
{
	struct ss_pins pins;
	static char why[256], line[512];
	int fds[SS_NR_OBJECTS];

	if (!may_load()) {
		snprintf(line, sizeof(line),
			 "nothing is loaded at %s, and loading needs root, or "
			 "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: run "
			 "'sockshunt load' as root",
			 ss_runtime.conf.pin_path);
		ss_runtime_off(line);
		return false;
	}
	switch (ss_spawn_loader(loader, conf_file, fds)) {
	case SS_SPAWN_PINNED:
		if (use(ss_pins_open(ss_runtime.conf.pin_path, &pins, why,
				     sizeof(why)),
			&pins, false))
			return true;
		ss_runtime_off(why);
		return false;
	case SS_SPAWN_PRIVATE:
		if (use_private(fds))
			return true;
		ss_runtime_off("the private sockhash cannot be used");
		return false;
	case SS_SPAWN_FAILED:
		set_state(SS_OFF); /* the loader's line has said it all */
		return false;
	default:
		snprintf(line, sizeof(line), "cannot run %.*s", 400,
			 loader[0] ? loader : LOADER);
		ss_runtime_off(line);
		return false;
	}
}

static bool get_maps(const char *conf_file)
{
	struct ss_pins pins;
	static char why[256], line[512];
	enum ss_pins_result result;

	result =
		ss_pins_open(ss_runtime.conf.pin_path, &pins, why, sizeof(why));
	switch (result) {
	case SS_PINS_OK:
		return use(result, &pins, false);
	case SS_PINS_ABSENT:
	case SS_PINS_BROKEN: /* a loader is at work, or was killed */
		return use_inherited() || load(conf_file);
	default:
		snprintf(line, sizeof(line), "%.200s: %.250s",
			 ss_runtime.conf.pin_path, why);
		ss_runtime_off(line);
		return false;
	}
}

static void start(void)
{
	const char *conf_file = conf_named[0] ? conf_named : ss_conf_file();
	static struct ss_conf_error err;
	static char why[256];

	ss_conf_defaults(&ss_runtime.conf);
	if (ss_may(SS_DUTY_START) && conf_file &&
	    ss_conf_read(&ss_runtime.conf, conf_file, &err)) {
		ss_log_init(SS_LOG_WARN); /* the environment's wish, at least */
		ss_runtime_off(err.text);
		return;
	}
	ss_log_init(ss_runtime.conf.log_level);
	if (!ss_permit_find_out(why, sizeof(why))) {
		ss_runtime_off(why);
		return;
	}
	if (!get_maps(conf_file))
		return;
	ss_hosts_announce();
	ss_unmerge_start();
	ss_busypoll_start();
	ss_worth_start();
	set_state(SS_ON);
	ss_log(SS_LOG_DEBUG, "on: sockhash %u at %s",
	       ss_runtime.control->ids[SS_OBJECT_SOCKHASH],
	       ss_runtime.conf.pin_path);
}

/* Another thread may have been starting; it does not exist in the child. */
static void after_fork_in_child(void)
{
	owner = getpid();
	recovering = false;
	ss_worth_after_fork_in_child();
	ss_enroll_after_fork_in_child();
	if (get_state() == SS_STARTING)
		set_state(SS_ASLEEP);
}

/* Starts, or waits while another thread does. */
static void start_once(void)
{
	const struct timespec msec = { .tv_nsec = 1000000 };
	struct ss_undisturbed u;
	int asleep = SS_ASLEEP;

	/* A handler that connects would wait for the thread it interrupts, and
	 * a cancelled thread would leave the others waiting for ever. */
	ss_undisturbed_begin(&u);
	if (__atomic_compare_exchange_n(&state, &asleep, SS_STARTING, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		owner = getpid();
		ss_real_bind_all();
		if (!watching_forks)
			pthread_atfork(ss_worth_before_fork,
				       ss_worth_after_fork,
				       after_fork_in_child);
		watching_forks = true;
		start();
	}
	while (get_state() == SS_STARTING)
		nanosleep(&msec, NULL);
	ss_undisturbed_end(&u);
}

bool ss_runtime_on(void)
{
	int now = get_state();

	if (__builtin_expect(now == SS_ON, 1))
		return true;
	if (now == SS_OFF || !ss_may(SS_DUTY_LOG))
		return false;
	start_once();
	return get_state() == SS_ON;
}

bool ss_runtime_on_for(int fd)
{
	return get_state() != SS_OFF && ss_key_is_tcp(fd) && ss_runtime_on();
}

/* All of them: what took one away may have taken the others. */
static void take_back(struct ss_pins *pins)
{
	for (int i = 0; i < SS_OBJECT_CONTROL; i++) {
		int fd = ss_ownfd((enum ss_object_kind)i);

		if (pins->fds[i] >= 0 &&
		    (fd < 0 || !ss_pins_is(ss_runtime.control,
					   (enum ss_object_kind)i, fd))) {
			ss_ownfd_keep((enum ss_object_kind)i, pins->fds[i],
				      false);
			pins->fds[i] = -1;
		}
	}
	ss_pins_close(pins);
}

static bool reopen(enum ss_object_kind which, int lost)
{
	struct ss_pins pins;
	static char why[256], line[512];
	enum ss_pins_result result;

	if (ss_ownfd(which) != lost)
		return true; /* another thread was faster */
	ss_ownfd_forget(which, lost);
	result =
		ss_pins_open(ss_runtime.conf.pin_path, &pins, why, sizeof(why));
	if (result == SS_PINS_OK &&
	    pins.control->ids[SS_OBJECT_SOCKHASH] ==
		    ss_runtime.control->ids[SS_OBJECT_SOCKHASH]) {
		take_back(&pins);
		return true;
	}
	if (result == SS_PINS_OK) {
		ss_pins_close(&pins);
		snprintf(why, sizeof(why), "it was reloaded");
	}
	snprintf(line, sizeof(line),
		 "the program closed the sockhash's descriptor, and it cannot "
		 "be opened again: %.250s",
		 why);
	ss_runtime_off(line);
	return false;
}

bool ss_runtime_recover(enum ss_object_kind which, int lost)
{
	bool ok = false;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (!__atomic_exchange_n(&recovering, true, __ATOMIC_ACQUIRE)) {
		ok = reopen(which, lost);
		__atomic_store_n(&recovering, false, __ATOMIC_RELEASE);
	}
	pthread_setcancelstate(cancel, NULL);
	return ok;
}

/* LD_PRELOAD may be relative, and the program may leave its directory. */
static void find_loader(void)
{
	char cwd[PATH_MAX] = "";
	const char *slash;
	Dl_info self;

	if (!dladdr(&state, &self) || !self.dli_fname)
		return;
	slash = strrchr(self.dli_fname, '/');
	if (!slash)
		return;
	if (self.dli_fname[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return;
	if ((size_t)snprintf(loader, sizeof(loader), "%s%s%.*s/%s", cwd,
			     cwd[0] ? "/" : "", (int)(slash - self.dli_fname),
			     self.dli_fname, LOADER) >= sizeof(loader))
		loader[0] = '\0';
}

/* The whole cost to a program that never touches TCP. */
__attribute__((constructor)) static void at_start_up(void)
{
	const char *disable = secure_getenv("SOCKSHUNT_DISABLE");
	const char *conf_file = secure_getenv("SOCKSHUNT_CONF");

	/* What handlers of programs without TCP call; the rest follows. */
	(void)REAL(read);
	(void)REAL(close);
	(void)REAL(write);
	(void)REAL(syscall); /* allocators and vfork children call it */
	if (disable && !strcmp(disable, "1")) {
		disabled = true;
		set_state(SS_OFF);
		return;
	}
	if (conf_file && strlen(conf_file) < sizeof(conf_named))
		strcpy(conf_named, conf_file);
	ss_log_remember_stderr();
	ss_worth_inherit();
	find_loader();
}
