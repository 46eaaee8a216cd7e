/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How the loaded maps are used: entries and counters. */
#include "loader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

unsigned int ss_max_entries(const struct ss_pins *pins)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(pins->fds[SS_OBJECT_SOCKHASH], &info, &len))
		return 0;
	return info.max_entries;
}

unsigned int ss_count_entries(const struct ss_pins *pins)
{
	struct ss_key key, next;
	unsigned int n = 0, max = ss_max_entries(pins);

	/* A key that vanishes meanwhile restarts the walk: hence the bound. */
	if (bpf_map_get_next_key(pins->fds[SS_OBJECT_SOCKHASH], NULL, &next))
		return 0;
	do {
		key = next;
		n++;
	} while (n < max && !bpf_map_get_next_key(pins->fds[SS_OBJECT_SOCKHASH],
						  &key, &next));
	return n;
}

static void add(struct ss_counters *sum, const struct ss_counters *c)
{
	const __u64 *from = (const __u64 *)c;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < SS_NR_COUNTERS; i++)
		to[i] += from[i];
}

int ss_read_counters(const struct ss_conf *conf, const struct ss_pins *pins,
		     struct ss_counters *sum)
{
	int err = -1, fd, cpus = libbpf_num_possible_cpus();
	char path[SS_PIN_NAME_MAX];
	struct ss_counters *c;
	__u32 zero = 0;

	*sum = pins->control->counters;
	ss_pin_name(path, conf->pin_path, SS_MAP_COUNTERS);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -1;
	c = cpus > 0 ? calloc((size_t)cpus, sizeof(*c)) : NULL;
	if (c && !bpf_map_lookup_elem(fd, &zero, c)) {
		for (int i = 0; i < cpus; i++)
			add(sum, &c[i]);
		err = 0;
	}
	free(c);
	close(fd);
	return err;
}
