/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sockshunt status: what is loaded, and every counter. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../bpf/loader.h"
#include "../bpf/permit.h"
#include "command.h"
#include "findings.h"
#include "text.h"

struct status {
	const struct ss_conf *conf;
	enum ss_pins_result result;
	char why[256]; /* unless result is SS_PINS_OK */
	struct ss_pins pins;
	struct ss_counters counters;
	unsigned int entries;
	unsigned int max_entries;
};

static const char *const result_names[] = {
	[SS_PINS_OK] = "loaded",	 [SS_PINS_ABSENT] = "not loaded",
	[SS_PINS_DENIED] = "no access",	 [SS_PINS_OTHER_ABI] = "other ABI",
	[SS_PINS_BROKEN] = "incomplete",
};

static void json_member(const char *name, const char *value, size_t max)
{
	printf(", \"%s\": ", name);
	put_json(value, max);
}

static void print_json_loaded(const struct status *s)
{
	const struct ss_control *c = s->pins.control;
	struct finding f;

	printf(", \"abi\": %u, \"sockhash_id\": %u, \"entries\": %u, "
	       "\"max_entries\": %u, \"draining\": %s",
	       c->abi, c->ids[SS_OBJECT_SOCKHASH], s->entries, s->max_entries,
	       c->state == SS_STATE_DRAINING ? "true" : "false");
	printf(", \"loaded_at\": %llu, \"loader_pid\": %u, \"loader_uid\": %u",
	       (unsigned long long)c->loaded_at, c->loader_pid, c->loader_uid);
	json_member("loader_version", c->loader_version,
		    sizeof(c->loader_version));
	printf(", \"custom_object\": %s",
	       c->flags & SS_CUSTOM ? "true" : "false");
	json_member("cgroup_path", c->cgroup_path, sizeof(c->cgroup_path));
	printf(", \"self_test\": {\"usecs\": %u", c->self_test_usecs);
	for (size_t i = 0; get_finding(c, i, &f); i++)
		printf(", \"%s\": %s", f.key, f.good ? "true" : "false");
	json_member("not_merged_because", c->merge_reason,
		    sizeof(c->merge_reason));
	printf("}, \"counters\": {");
#define PRINT_JSON(name, text)                                                 \
	printf("%s\"" #name "\": %llu",                                        \
	       &s->counters.name == (const __u64 *)&s->counters ? "" : ", ",   \
	       (unsigned long long)s->counters.name);
	SS_COUNTERS(PRINT_JSON)
#undef PRINT_JSON
	putchar('}');
}

static void print_json(const struct status *s)
{
	printf("{\"version\": \"%s\"", SS_VERSION);
	json_member("pin_path", s->conf->pin_path, SIZE_MAX);
	json_member("state", result_names[s->result], SIZE_MAX);
	if (s->result == SS_PINS_OK)
		print_json_loaded(s);
	else
		json_member("reason", s->why, sizeof(s->why));
	puts("}");
}

static void print_line(const char *name, const char *value, size_t max)
{
	printf("%-16s", name);
	put_text(value, max);
	putchar('\n');
}

static void print_loaded(const struct status *s)
{
	const struct ss_control *c = s->pins.control;
	struct finding f;
	char line[256];

	describe_load(c, line, sizeof(line));
	print_line("loaded", line, sizeof(line));
	printf("%-16s%s\n", "object",
	       c->flags & SS_CUSTOM ? "custom (bpf_program_path)" : "built in");
	print_line("cgroup",
		   c->cgroup_path[0] ? c->cgroup_path : "not attached",
		   sizeof(c->cgroup_path));
	printf("%-16s%u of %u entries used%s\n", "sockhash", s->entries,
	       s->max_entries,
	       c->state == SS_STATE_DRAINING ? " (draining)" : "");
	snprintf(line, sizeof(line), "took %u us", c->self_test_usecs);
	print_line("self-test", c->self_test_usecs ? line : "not run",
		   sizeof(line));
	for (size_t i = 0; get_finding(c, i, &f); i++)
		print_line(f.name, f.text, sizeof(f.text));
	printf("\n");
#define PRINT(name, text)                                                      \
	printf("%12llu  %-30s %s\n", (unsigned long long)s->counters.name,     \
	       #name, text);
	SS_COUNTERS(PRINT)
#undef PRINT
}

static void print_text(const struct status *s)
{
	print_line("pins", s->conf->pin_path, SIZE_MAX);
	if (s->result == SS_PINS_OK)
		print_loaded(s);
	else
		print_line(result_names[s->result], s->why, sizeof(s->why));
}

int cmd_status(int argc, char **argv)
{
	struct status s = { 0 };
	bool json = false;
	struct ss_conf conf;
	const char *file;

	if (command_options(argc, argv, &file, 'j', &json))
		return EXIT_USAGE;
	if (command_conf(&conf, file))
		return EXIT_FAILED;
	s.conf = &conf;
	s.result = SS_PINS_DENIED;
	if (ss_permit_find_out(s.why, sizeof(s.why)))
		s.result = ss_pins_open(conf.pin_path, &s.pins, s.why,
					sizeof(s.why));
	if (s.result == SS_PINS_OK) {
		s.entries = ss_count_entries(&s.pins);
		s.max_entries = ss_max_entries(&s.pins);
		if (ss_read_counters(&conf, &s.pins, &s.counters))
			ss_log(SS_LOG_WARN,
			       "cannot read the kernel's counters "
			       "below %s: only user space's "
			       "are shown",
			       conf.pin_path);
	}
	if (json)
		print_json(&s);
	else
		print_text(&s);
	if (s.result != SS_PINS_OK)
		return EXIT_FAILED;
	ss_pins_close(&s.pins);
	return EXIT_DONE;
}
