/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is loaded. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"
#include "findings.h"

#define RELOAD "run 'sockshunt unload' and 'sockshunt load'"

static void describe_age(const struct ss_control *c, char *buf, size_t size)
{
	long long secs = (long long)time(NULL) - (long long)c->loaded_at;

	if (secs < 0)
		snprintf(buf, size, "in the future");
	else if (secs < 2 * 60)
		snprintf(buf, size, "%lld seconds ago", secs);
	else if (secs < 2 * 3600)
		snprintf(buf, size, "%lld minutes ago", secs / 60);
	else if (secs < 2 * 86400)
		snprintf(buf, size, "%lld hours ago", secs / 3600);
	else
		snprintf(buf, size, "%lld days ago", secs / 86400);
}

/* For people: who may use it. */
static void describe_access(const struct doctor *d, char *buf, size_t size)
{
	const struct group *group;
	struct stat st;

	if (stat(d->conf.pin_path, &st)) {
		snprintf(buf, size, "%s", strerror(errno));
		return;
	}
	group = st.st_mode & 0010 ? getgrgid(st.st_gid) : NULL;
	if (st.st_mode & 0010)
		snprintf(buf, size, "for uid %u and group %s (mode %04o)",
			 st.st_uid, group ? group->gr_name : "without a name",
			 st.st_mode & 07777);
	else
		snprintf(buf, size, "for uid %u only (mode %04o)", st.st_uid,
			 st.st_mode & 07777);
}

static void check_entries(const struct doctor *d)
{
	unsigned int used = ss_count_entries(&d->pins),
		     max = ss_max_entries(&d->pins);
	const char *advice = "raise sockhash_max_entries, then run 'sockshunt "
			     "unload --force' and 'sockshunt load'";

	if (max < used + 2) /* a connection takes two */
		report(STATE_FAIL, "sockhash", advice,
		       "%u of %u entries used: full, further connections stay "
		       "on TCP",
		       used, max);
	else if (max / 10 * 9 <= used)
		report(STATE_NOTE, "sockhash", advice,
		       "%u of %u entries used: nearly full", used, max);
	else
		report(STATE_OK, "sockhash", NULL, "%u of %u entries used",
		       used, max);
}

static void check_loaded(const struct doctor *d)
{
	const struct ss_control *c = d->pins.control;
	char load[192], age[64], users[128];

	describe_load(c, load, sizeof(load));
	describe_age(c, age, sizeof(age));
	describe_access(d, users, sizeof(users));
	if (c->state == SS_STATE_DRAINING)
		report(STATE_FAIL, "pins", RELOAD,
		       "%s: an unload was interrupted: nothing is registered",
		       d->conf.pin_path);
	else
		report(STATE_OK, "pins", NULL, "%s: %s, %s, %s%s",
		       d->conf.pin_path, load, age, users,
		       c->flags & SS_CUSTOM ? ", custom object" : "");
	check_entries(d);
}

static void check_findings(const struct ss_control *c)
{
	struct finding f;

	report(STATE_OK, "self-test", NULL, "took %u us", c->self_test_usecs);
	for (size_t i = 0; get_finding(c, i, &f); i++)
		report(f.good ? STATE_OK : STATE_NOTE, f.name, NULL, "%s",
		       f.text);
}

void check_pins(const struct doctor *d)
{
	switch (d->result) {
	case SS_PINS_OK:
		check_loaded(d);
		break;
	case SS_PINS_OTHER_ABI:
		report(STATE_FAIL, "pins", RELOAD, "%s: %s", d->conf.pin_path,
		       d->why);
		break;
	case SS_PINS_DENIED:
		report(STATE_FAIL, "pins",
		       access(d->conf.pin_path, W_OK) && errno == EROFS
			       ? "mount -o remount,rw the BPF file system"
			       : "set a pin_group that this user is a member "
				 "of, "
				 "and " RELOAD " as root",
		       "%s", d->why);
		break;
	default:
		if (d->usable)
			report(STATE_NOTE, "pins", NULL,
			       "nothing is loaded at %s; the first program "
			       "would load it (tried beside it: it loads)",
			       d->conf.pin_path);
		else
			report(STATE_FAIL, "pins",
			       "see the reason; then run 'sockshunt load' as "
			       "root",
			       "nothing is loaded at %s, and nothing can be "
			       "loaded: %s",
			       d->conf.pin_path, d->why);
	}
	if (d->usable)
		check_findings(d->pins.control);
}
