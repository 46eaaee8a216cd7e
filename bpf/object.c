/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "key.h"
#include "privilege.h"
#include "selftest.h"

#define VERDICT_PROBE SS_PROG_VERDICT "_probe" /* for kernels before 6.2 */

extern const char ss_embedded_object[], ss_embedded_object_end[];

static int log_libbpf(enum libbpf_print_level level, const char *fmt,
		      va_list args)
{
	char *text, *rest, *line;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, args) < 0)
		return 0;
	/* One message may be the verifier's log: many lines. */
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			ss_log(SS_LOG_DEBUG, "%s", line);
	}
	free(text);
	return 0;
}

void ss_object_redirect_libbpf_log(void)
{
	libbpf_set_print(log_libbpf);
}

static const char *source_of(const struct ss_conf *conf)
{
	return conf->bpf_program_path[0] ? conf->bpf_program_path
					 : "the built-in object";
}

static struct bpf_object *open_object(const struct ss_conf *conf)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "sockshunt");
	struct bpf_object *obj;
	char reason[128];

	if (conf->bpf_program_path[0])
		obj = bpf_object__open_file(conf->bpf_program_path, NULL);
	else
		obj = bpf_object__open_mem(ss_embedded_object,
					   ss_embedded_object_end -
						   ss_embedded_object,
					   &opts);
	if (!obj) {
		libbpf_strerror(errno, reason,
				sizeof(reason)); /* has its own */
		ss_log(SS_LOG_ERROR, "bpf_program_path: cannot open %s: %s",
		       source_of(conf), reason);
	}
	return obj;
}

/* A custom object's part that we use must be what we take it for. */
static int check_map(const struct ss_conf *conf, const struct bpf_map *map,
		     const char *name, enum bpf_map_type type, size_t key_size,
		     size_t value_size)
{
	if (bpf_map__type(map) == type && bpf_map__key_size(map) == key_size &&
	    bpf_map__value_size(map) == value_size)
		return 0;
	ss_log(SS_LOG_ERROR,
	       "bpf_program_path: map '%s' in %s is of type %u with key %u and "
	       "value %u bytes; needed: type %u, key %zu, value %zu "
	       "(bpf/abi.h)",
	       name, source_of(conf), bpf_map__type(map),
	       bpf_map__key_size(map), bpf_map__value_size(map), type, key_size,
	       value_size);
	return -1;
}

static int check_program(const struct ss_conf *conf,
			 const struct bpf_program *prog, const char *name,
			 enum bpf_prog_type type)
{
	if (bpf_program__type(prog) == type)
		return 0;
	ss_log(SS_LOG_ERROR,
	       "bpf_program_path: program '%s' in %s is of type %s; needed: %s",
	       name, source_of(conf),
	       libbpf_bpf_prog_type_str(bpf_program__type(prog)),
	       libbpf_bpf_prog_type_str(type));
	return -1;
}

static int missing(const struct ss_conf *conf, const char *kind,
		   const char *name)
{
	ss_log(SS_LOG_ERROR, "bpf_program_path: no %s '%s' in %s", kind, name,
	       source_of(conf));
	return -1;
}

static struct bpf_map *find_map(const struct ss_object *o, const char *name)
{
	return bpf_object__find_map_by_name(o->obj, name);
}

static struct bpf_program *find_program(const struct ss_object *o,
					const char *name)
{
	return bpf_object__find_program_by_name(o->obj, name);
}

static int check_object(const struct ss_conf *conf, struct ss_object *o)
{
	struct bpf_map *map = find_map(o, SS_MAP_SOCKHASH);

	o->verdict = find_program(o, SS_PROG_VERDICT);
	o->sockops = find_program(o, SS_PROG_SOCKOPS);
	o->merge = find_program(o, SS_PROG_MERGE);
	o->owners = find_program(o, SS_PROG_OWNERS);
	o->splice = find_program(o, SS_PROG_SPLICE);
	if (!map)
		return missing(conf, "map", SS_MAP_SOCKHASH);
	if (!o->verdict)
		return missing(conf, "program", SS_PROG_VERDICT);
	if (check_map(conf, map, SS_MAP_SOCKHASH, BPF_MAP_TYPE_SOCKHASH,
		      sizeof(struct ss_key), sizeof(__u64)) ||
	    check_program(conf, o->verdict, SS_PROG_VERDICT,
			  BPF_PROG_TYPE_SK_MSG))
		return -1;
	map = find_map(o, SS_MAP_COUNTERS);
	if (map &&
	    check_map(conf, map, SS_MAP_COUNTERS, BPF_MAP_TYPE_PERCPU_ARRAY,
		      sizeof(__u32), sizeof(struct ss_counters)))
		return -1;
	map = find_map(o, SS_MAP_CONTROL);
	if (map && check_map(conf, map, SS_MAP_CONTROL, BPF_MAP_TYPE_ARRAY,
			     sizeof(__u32), sizeof(struct ss_control)))
		return -1;
	if (o->sockops && check_program(conf, o->sockops, SS_PROG_SOCKOPS,
					BPF_PROG_TYPE_SOCK_OPS))
		return -1;
	if (o->merge &&
	    check_program(conf, o->merge, SS_PROG_MERGE, BPF_PROG_TYPE_SK_SKB))
		return -1;
	if (o->owners && check_program(conf, o->owners, SS_PROG_OWNERS,
				       BPF_PROG_TYPE_SOCKET_FILTER))
		return -1;
	if (o->splice && check_program(conf, o->splice, SS_PROG_SPLICE,
				       BPF_PROG_TYPE_TRACING))
		return -1;
	map = find_map(o, SS_MAP_MERGED);
	if (map && check_map(conf, map, SS_MAP_MERGED, BPF_MAP_TYPE_SOCKHASH,
			     sizeof(struct ss_key), sizeof(__u64)))
		return -1;
	return 0;
}

static bool kernel_casts(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = btf && btf__find_by_name_kind(btf, "bpf_rdonly_cast",
						   BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return found;
}

static bool has_netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && ss_key_netns(fd, false);

	if (fd >= 0)
		close(fd);
	return has;
}

static bool knows_task(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_SK_MSG,
				       BPF_FUNC_get_current_task, NULL) == 1 &&
	       libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCK_OPS,
				       BPF_FUNC_get_current_task, NULL) == 1;
}

/* Asked ahead: where it does not, all the others would be verified in vain. */
static bool takes_tracing(const struct ss_conf *conf)
{
	return conf->cgroup_path[0] &&
	       libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_TRACING, NULL) == 1;
}

/* Of our two verdicts, the one that this kernel can run. */
static void choose_verdict(struct ss_object *o)
{
	struct bpf_program *probe = find_program(o, VERDICT_PROBE);

	if (!probe)
		return;
	if (kernel_casts()) {
		bpf_program__set_autoload(probe, false);
	} else {
		bpf_program__set_autoload(o->verdict, false);
		o->verdict = probe;
	}
}

/*
 * The object's variables, by name: in .rodata, until it is loaded, or .bss.
 * The section's BTF tells where each of them is.
 */
static void *variable(const struct ss_object *o, const char *section_name,
		      const char *name)
{
	struct bpf_map *map = find_map(o, section_name);
	const struct btf *btf = bpf_object__btf(o->obj);
	const struct btf_type *section;
	const struct btf_var_secinfo *var;
	size_t size;
	char *data;
	int id;

	if (!map || !btf)
		return NULL;
	data = (char *)bpf_map__initial_value(map, &size);
	id = btf__find_by_name_kind(btf, section_name, BTF_KIND_DATASEC);
	if (!data || id < 0)
		return NULL;
	section = btf__type_by_id(btf, id);
	var = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, var++) {
		const struct btf_type *type = btf__type_by_id(btf, var->type);

		if (!strcmp(btf__name_by_offset(btf, type->name_off), name) &&
		    var->offset + var->size <= size)
			return data + var->offset;
	}
	return NULL;
}

static void set_flag(const struct ss_object *o, const char *name, __u32 value)
{
	__u32 *flag = variable(o, ".rodata", name);

	if (flag)
		*flag = value;
}

static void set_ports(const struct ss_conf *conf, const struct ss_object *o)
{
	__u64 *bits = variable(o, ".rodata", "port_bits");

	set_flag(o, "all_ports", !conf->nr_accelerated_ports);
	if (!bits)
		return;
	for (unsigned int i = 0; i < conf->nr_accelerated_ports; i++) {
		const struct ss_port_range *r = &conf->accelerated_ports[i];

		for (unsigned int p = r->first; p <= r->last; p++)
			bits[p / 64] |= 1ULL << (p % 64);
	}
}

/* In this mode BPF programs may not read the kernel's memory. */
static bool is_locked_down(void)
{
	char modes[64] = "";
	int fd = open(SS_LOCKDOWN, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, modes, sizeof(modes) - 1) < 0)
		modes[0] = '\0';
	close(fd);
	return strstr(modes, "[confidentiality]");
}

/* Without it the verifier forbids what it lets others do, with EACCES. */
static bool lacks_perfmon(void)
{
	return !ss_has_cap(ss_effective_caps(), CAP_PERFMON);
}

static const char *hint_for(int err)
{
	if ((err == -EPERM || err == -EACCES || err == -EINVAL) &&
	    is_locked_down())
		return "; the kernel is locked down (" SS_LOCKDOWN
		       " says confidentiality): boot with lockdown=integrity "
		       "or none";
	if (err == -EPERM || (err == -EACCES && lacks_perfmon()))
		return "; needs root, or CAP_BPF, CAP_NET_ADMIN and "
		       "CAP_PERFMON";
	if (access(SS_BTF, R_OK))
		return "; there is no " SS_BTF
		       ": needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF)";
	if (err == -EACCES)
		return "; the kernel's verifier rejects it";
	if (err == -ESRCH || err == -ENOENT)
		return "; needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF)";
	return "";
}

static void explain_load_failure(const struct ss_conf *conf, int err)
{
	ss_log(SS_LOG_ERROR,
	       "cannot load %s: %s%s (SOCKSHUNT_LOG=debug shows more)",
	       source_of(conf), strerror(-err), hint_for(err));
}

/* A descriptor of the object's map, or of a new one if it has none. */
static int map_or_new(const struct ss_object *o, const char *name,
		      enum bpf_map_type type, size_t value_size, __u32 flags,
		      bool *own)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	struct bpf_map *map = find_map(o, name);

	*own = !map;
	if (map)
		return bpf_map__fd(map);
	return bpf_map_create(type, name, sizeof(__u32), value_size, 1, &opts);
}

static int open_objects(struct ss_object *o)
{
	struct bpf_map *merged = find_map(o, SS_MAP_MERGED);

	o->fds[SS_OBJECT_SOCKHASH] = bpf_map__fd(find_map(o, SS_MAP_SOCKHASH));
	o->fds[SS_OBJECT_MERGED] = merged ? bpf_map__fd(merged) : -1;
	o->fds[SS_OBJECT_OWNERS] = o->owners ? bpf_program__fd(o->owners) : -1;
	o->counters_fd =
		map_or_new(o, SS_MAP_COUNTERS, BPF_MAP_TYPE_PERCPU_ARRAY,
			   sizeof(struct ss_counters), 0, &o->own_counters);
	o->fds[SS_OBJECT_CONTROL] =
		map_or_new(o, SS_MAP_CONTROL, BPF_MAP_TYPE_ARRAY,
			   sizeof(struct ss_control), BPF_F_MMAPABLE,
			   &o->own_control);
	return o->counters_fd < 0 || o->fds[SS_OBJECT_CONTROL] < 0 ? -errno : 0;
}

static void set_size(const struct ss_object *o, const char *name,
		     unsigned int entries)
{
	struct bpf_map *map = find_map(o, name);

	if (map)
		bpf_map__set_max_entries(map, entries);
}

static void leave_out(struct bpf_program **prog)
{
	if (*prog)
		bpf_program__set_autoload(*prog, false);
	*prog = NULL;
}

/* What is tried, in this order: a kernel that rejects one of these programs is
 * served without it. */
enum parts {
	ALL,
	NO_SPLICE,
	NO_OPTIONAL,
};

/* Returns 0 or a negative errno; 1: reported already. */
static int open_and_load(const struct ss_conf *conf, struct ss_object *o,
			 enum parts parts)
{
	int err;

	o->obj = open_object(conf);
	if (!o->obj)
		return 1;
	if (check_object(conf, o)) {
		bpf_object__close(o->obj);
		return 1;
	}
	if (parts >= NO_SPLICE || !o->takes_tracing)
		leave_out(&o->splice);
	if (parts >= NO_OPTIONAL) {
		leave_out(&o->merge);
		leave_out(&o->owners);
	}
	choose_verdict(o);
	set_flag(o, "netns_inode", o->netns_inode);
	set_flag(o, "count_bytes", o->count_bytes);
	set_flag(o, "knows_task", o->knows_task);
	set_ports(conf, o);
	set_size(o, SS_MAP_SOCKHASH, conf->sockhash_max_entries);
	set_size(o, SS_MAP_MERGED, conf->sockhash_max_entries);
	err = bpf_object__load(o->obj);
	if (err)
		bpf_object__close(o->obj);
	return err;
}

static int load_and_attach(const struct ss_conf *conf, struct ss_object *o)
{
	int err = open_and_load(conf, o, ALL);

	if (err < 0 && err != -EPERM && o->splice)
		err = open_and_load(conf, o, NO_SPLICE);
	if (err < 0 && err != -EPERM && (o->merge || o->owners)) {
		ss_log(SS_LOG_INFO, "loading again without optional programs");
		err = open_and_load(conf, o, NO_OPTIONAL);
	}
	if (err > 0)
		return -1;
	if (err)
		goto explain;
	err = open_objects(o);
	if (!err)
		err = bpf_prog_attach(bpf_program__fd(o->verdict),
				      o->fds[SS_OBJECT_SOCKHASH],
				      BPF_SK_MSG_VERDICT, 0);
	if (!err)
		return 0;
	bpf_object__close(o->obj);
explain:
	explain_load_failure(conf, err);
	return -1;
}

/* Attached for good only where it does what it is for. */
static void try_merge(struct ss_object *o, struct ss_selftest *t)
{
	int prog, err;

	if (!o->merge || o->fds[SS_OBJECT_MERGED] < 0) {
		snprintf(o->merge_reason, sizeof(o->merge_reason),
			 "the object has no program '%s', or it does not load",
			 SS_PROG_MERGE);
		return;
	}
	prog = bpf_program__fd(o->merge);
	err = bpf_prog_attach(prog, t->merged_fd, BPF_SK_SKB_STREAM_VERDICT, 0);
	if (err) {
		snprintf(o->merge_reason, sizeof(o->merge_reason),
			 "cannot attach: %s", strerror(-err));
		return;
	}
	o->merged = ss_selftest_merges(t) == 1;
	if (o->merged)
		return;
	snprintf(o->merge_reason, sizeof(o->merge_reason), "%.100s", t->why);
	bpf_prog_detach2(prog, t->merged_fd, BPF_SK_SKB_STREAM_VERDICT);
}

static void forget_counts(const struct ss_object *o)
{
	int cpus = libbpf_num_possible_cpus();
	struct ss_counters zero[cpus > 0 ? cpus : 1];
	__u32 key = 0;

	memset(zero, 0, sizeof(zero));
	bpf_map_update_elem(o->counters_fd, &key, zero, BPF_ANY);
}

static unsigned int usecs_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned int)((now.tv_sec - then->tv_sec) * 1000000 +
			      (now.tv_nsec - then->tv_nsec) / 1000);
}

static void begin_test(const struct ss_object *o, struct ss_selftest *t)
{
	t->sockhash_fd = o->fds[SS_OBJECT_SOCKHASH];
	t->counters_fd = o->counters_fd;
	t->netns_inode = o->netns_inode;
	t->merged_fd = o->fds[SS_OBJECT_MERGED];
}

/* A custom object is its owner's to answer for. */
static int complain(const struct ss_conf *conf, const struct ss_selftest *t)
{
	if (conf->bpf_program_path[0]) {
		ss_log(SS_LOG_WARN,
		       "bpf_program_path: the self-test failed: %s", t->why);
		return 0;
	}
	ss_log(SS_LOG_ERROR,
	       "the self-test failed: %s; connections stay on TCP on this "
	       "kernel",
	       t->why);
	return -1;
}

int ss_object_load(const struct ss_conf *conf, struct ss_object *o)
{
	struct ss_selftest test;
	struct timespec start;
	int charges, holds = -1;
	unsigned int usecs;

	memset(o, 0, sizeof(*o));
	o->netns_inode = !has_netns_cookie();
	o->knows_task = knows_task();
	o->takes_tracing = takes_tracing(conf);
	if (load_and_attach(conf, o))
		return -1;

	begin_test(o, &test);
	clock_gettime(CLOCK_MONOTONIC, &start);
	charges = ss_selftest_charges(&test);
	usecs = usecs_since(&start);
	if (charges != 1) {
		/* Known before it is loaded: a constant in the program. Where
		 * the test could not run, counting is the safe assumption. */
		ss_object_close(o);
		o->count_bytes = true;
		if (load_and_attach(conf, o))
			return -1;
		begin_test(o, &test);
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (charges >= 0)
		holds = ss_selftest_rule(&test);
	if (holds < 0) {
		snprintf(o->merge_reason, sizeof(o->merge_reason),
			 "self-test not run: %.80s", test.why);
		ss_log(SS_LOG_INFO, "%s", o->merge_reason);
	} else if (!holds && complain(conf, &test)) {
		ss_object_close(o);
		return -1;
	} else {
		o->test_flags = test.flags;
		try_merge(o, &test);
		o->self_test_usecs = usecs + usecs_since(&start);
	}
	forget_counts(o);
	return 0;
}

void ss_object_close(struct ss_object *o)
{
	if (o->own_counters)
		close(o->counters_fd);
	if (o->own_control)
		close(o->fds[SS_OBJECT_CONTROL]);
	bpf_object__close(o->obj);
}
