/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "pins.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sysbpf.h"

void ss_pin_name(char *buf, const char *dir, const char *name)
{
	snprintf(buf, SS_PIN_NAME_MAX, "%s/%s", dir, name);
}

static const char *const pin_names[] = {
	[SS_OBJECT_SOCKHASH] = SS_MAP_SOCKHASH,
	[SS_OBJECT_MERGED] = SS_MAP_MERGED,
	[SS_OBJECT_OWNERS] = SS_PIN_OWNERS,
	[SS_OBJECT_CONTROL] = SS_MAP_CONTROL,
};

const char *ss_pin_of(enum ss_object_kind kind)
{
	return pin_names[kind];
}

static bool is_optional(enum ss_object_kind kind)
{
	return kind == SS_OBJECT_MERGED || kind == SS_OBJECT_OWNERS;
}

int ss_pins_identify(int fd)
{
	union ss_bpf_info info;

	if (ss_bpf_info(fd, &info))
		return -1;
	/* The kernel keeps 15 bytes of a name. */
	if (!strncmp(info.prog.name, SS_PROG_OWNERS, BPF_OBJ_NAME_LEN - 1))
		return SS_OBJECT_OWNERS;
	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (i != SS_OBJECT_OWNERS &&
		    !strcmp(info.map.name, pin_names[i]))
			return i;
	}
	return -1;
}

/* The control map's head is the same in every ABI; check before the rest. */
static enum ss_pins_result check_abi(int fd, const struct bpf_map_info *info,
				     char *why, size_t why_size)
{
	struct ss_control *head;
	enum ss_pins_result result = SS_PINS_OK;

	if (info->type != BPF_MAP_TYPE_ARRAY ||
	    !(info->map_flags & BPF_F_MMAPABLE) ||
	    info->value_size < 2 * sizeof(__u32)) {
		snprintf(why, why_size, "the pinned control map is not ours");
		return SS_PINS_BROKEN;
	}
	head = mmap(NULL, 2 * sizeof(__u32), PROT_READ, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED) {
		snprintf(why, why_size, "cannot map the control map: %s",
			 strerror(errno));
		return SS_PINS_DENIED;
	}
	if (head->magic != SS_MAGIC) {
		snprintf(why, why_size, "the pinned control map is not ours");
		result = SS_PINS_BROKEN;
	} else if (head->abi != SS_ABI ||
		   info->value_size != sizeof(struct ss_control)) {
		snprintf(why, why_size,
			 "loaded with ABI %u, this is ABI %u: run 'sockshunt "
			 "unload' and 'sockshunt load'",
			 head->abi, SS_ABI);
		result = SS_PINS_OTHER_ABI;
	}
	munmap(head, 2 * sizeof(__u32));
	return result;
}

/* Ids are never reused soon: this also notices an unload and a load between
 * the opening of two pins. */
static bool belong_together(const int fds[SS_NR_OBJECTS],
			    const struct ss_control *control)
{
	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (fds[i] < 0 && is_optional(i) && !control->ids[i])
			continue;
		if (!ss_pins_is(control, i, fds[i]))
			return false;
	}
	return true;
}

enum ss_pins_result ss_pins_adopt(const int fds[SS_NR_OBJECTS],
				  struct ss_pins *pins, char *why,
				  size_t why_size)
{
	union ss_bpf_info info;
	struct ss_control *control;
	enum ss_pins_result result;
	int control_fd = fds[SS_OBJECT_CONTROL];

	if (ss_bpf_info(control_fd, &info)) {
		snprintf(why, why_size, "cannot inspect the control map: %s",
			 strerror(errno));
		return SS_PINS_BROKEN;
	}
	result = check_abi(control_fd, &info.map, why, why_size);
	if (result != SS_PINS_OK)
		return result;
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED, control_fd, 0);
	if (control == MAP_FAILED) {
		snprintf(why, why_size, "cannot map the control map: %s",
			 strerror(errno));
		return SS_PINS_DENIED;
	}
	if (!belong_together(fds, control)) {
		snprintf(why, why_size, "the sockhash is being reloaded");
		munmap(control, sizeof(*control));
		return SS_PINS_BROKEN;
	}
	memcpy(pins->fds, fds, sizeof(pins->fds));
	pins->control = control;
	return SS_PINS_OK;
}

/* For the errno of opening what is below @dir, which is kept. */
static const char *what_helps(const char *dir)
{
	int error = errno;
	bool seen =
		error != EACCES || !faccessat(AT_FDCWD, dir, F_OK, AT_EACCESS);

	errno = error;
	if (error == EROFS)
		return "";
	if (error == EPERM)
		return " (kernel.unprivileged_bpf_disabled, before Linux 5.19, "
		       "or a security module forbids bpf(2))";
	return seen ? " (pin_group grants access)"
		    : " (a directory above pin_path may not be entered by "
		      "this user: chmod o+x it)";
}

static enum ss_pins_result cannot_open(const char *dir, const char *path,
				       char *why, size_t why_size)
{
	if (errno == ENOENT || errno == ENOTDIR) {
		snprintf(why, why_size, "nothing is loaded at %s", path);
		return SS_PINS_ABSENT;
	}
	snprintf(why, why_size, "cannot open %s: %s%s", path, strerror(errno),
		 what_helps(dir));
	return SS_PINS_DENIED;
}

static void close_all(const int fds[SS_NR_OBJECTS])
{
	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/* The control map first, which tells by its absence that nothing is there. */
static enum ss_pins_result open_all(const char *dir, int fds[SS_NR_OBJECTS],
				    char *why, size_t why_size)
{
	char path[SS_PIN_NAME_MAX];
	enum ss_pins_result result;

	for (int i = 0; i < SS_NR_OBJECTS; i++)
		fds[i] = -1;
	for (int i = SS_NR_OBJECTS; i-- > 0;) {
		ss_pin_name(path, dir, pin_names[i]);
		fds[i] = ss_bpf_obj_get(path);
		if (fds[i] >= 0 || (errno == ENOENT && is_optional(i)))
			continue;
		result = cannot_open(dir, path, why, why_size);
		if (result == SS_PINS_ABSENT && i != SS_OBJECT_CONTROL)
			result = SS_PINS_BROKEN;
		return result;
	}
	return SS_PINS_OK;
}

enum ss_pins_result ss_pins_open(const char *dir, struct ss_pins *pins,
				 char *why, size_t why_size)
{
	int fds[SS_NR_OBJECTS];
	enum ss_pins_result result = open_all(dir, fds, why, why_size);

	if (result == SS_PINS_OK)
		result = ss_pins_adopt(fds, pins, why, why_size);
	if (result != SS_PINS_OK)
		close_all(fds);
	return result;
}

void ss_pins_close(struct ss_pins *pins)
{
	munmap(pins->control, sizeof(*pins->control));
	close_all(pins->fds);
}

int ss_pins_is(const struct ss_control *control, enum ss_object_kind kind,
	       int fd)
{
	union ss_bpf_info info;

	return !ss_bpf_info(fd, &info) && info.map.id == control->ids[kind];
}
