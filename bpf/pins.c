/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "pins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sysbpf.h"

void ss_pin_name(char *buf, const char *dir, const char *name)
{
	snprintf(buf, SS_PIN_NAME_MAX, "%s/%s", dir, name);
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

enum ss_pins_result ss_pins_adopt(int sockhash_fd, int control_fd,
				  struct ss_pins *pins, char *why,
				  size_t why_size)
{
	struct bpf_map_info info;
	struct ss_control *control;
	enum ss_pins_result result;

	if (ss_bpf_map_info(control_fd, &info)) {
		snprintf(why, why_size, "cannot inspect the control map: %s",
			 strerror(errno));
		return SS_PINS_BROKEN;
	}
	result = check_abi(control_fd, &info, why, why_size);
	if (result != SS_PINS_OK)
		return result;
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED, control_fd, 0);
	if (control == MAP_FAILED) {
		snprintf(why, why_size, "cannot map the control map: %s",
			 strerror(errno));
		return SS_PINS_DENIED;
	}
	/* Ids are never reused soon: this also notices an unload and a load
	 * between the opening of the two pins. */
	if (ss_bpf_map_info(sockhash_fd, &info) ||
	    info.id != control->sockhash_id) {
		snprintf(why, why_size, "the sockhash is being reloaded");
		munmap(control, sizeof(*control));
		return SS_PINS_BROKEN;
	}
	pins->sockhash_fd = sockhash_fd;
	pins->control = control;
	return SS_PINS_OK;
}

static enum ss_pins_result cannot_open(const char *path, char *why,
				       size_t why_size)
{
	if (errno == ENOENT || errno == ENOTDIR) {
		snprintf(why, why_size, "nothing is loaded at %s", path);
		return SS_PINS_ABSENT;
	}
	snprintf(why, why_size, "cannot open %s: %s%s", path, strerror(errno),
		 errno == EROFS ? "" : " (pin_group grants access)");
	return SS_PINS_DENIED;
}

enum ss_pins_result ss_pins_open(const char *dir, struct ss_pins *pins,
				 char *why, size_t why_size)
{
	char path[SS_PIN_NAME_MAX];
	enum ss_pins_result result;
	int control_fd, sockhash_fd;

	ss_pin_name(path, dir, SS_MAP_CONTROL);
	control_fd = ss_bpf_obj_get(path);
	if (control_fd < 0)
		return cannot_open(path, why, why_size);
	ss_pin_name(path, dir, SS_MAP_SOCKHASH);
	sockhash_fd = ss_bpf_obj_get(path);
	if (sockhash_fd < 0) {
		result = cannot_open(path, why, why_size);
		if (result == SS_PINS_ABSENT)
			result = SS_PINS_BROKEN;
	} else {
		result = ss_pins_adopt(sockhash_fd, control_fd, pins, why,
				       why_size);
		if (result != SS_PINS_OK)
			close(sockhash_fd);
	}
	close(control_fd);
	return result;
}

void ss_pins_close(struct ss_pins *pins)
{
	munmap(pins->control, sizeof(*pins->control));
	close(pins->sockhash_fd);
}

int ss_pins_is_sockhash(const struct ss_pins *pins, int fd)
{
	struct bpf_map_info info;

	return !ss_bpf_map_info(fd, &info) &&
	       info.id == pins->control->sockhash_id;
}
