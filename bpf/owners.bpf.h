/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How many references a descriptor of the calling process has: duplicates, in
 * whatever process, on the way in SCM_RIGHTS, and system calls of other threads; and
 * what else no system call tells (enum ss_ask). Run by BPF_PROG_TEST_RUN, thus for its
 * caller, on a packet that names the descriptor; a filter is what 5.10 on runs so,
 * and, from 5.19 on, for who has no privilege.
 */
#ifndef SOCKSHUNT_OWNERS_BPF_H
#define SOCKSHUNT_OWNERS_BPF_H

#include "leave.bpf.h"

static __always_inline struct file *file_at(__u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(fdt, fd);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(fdt, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

static __always_inline long references(struct file *file)
{
	struct file___before_6_13 *old = (void *)file;

	/* file_ref_t counts from 0; it may be marked in its highest bits. */
	if (bpf_core_field_exists(file->f_ref))
		return BPF_CORE_READ(file, f_ref.refcnt.counter) + 1;
	return BPF_CORE_READ(old, f_count.counter);
}

SEC("socket")
int sockshunt_owners(struct __sk_buff *skb)
{
	struct ss_question question;
	struct file *file;
	long n;

	if (bpf_skb_load_bytes(skb, 0, &question, sizeof(question)))
		return 0;
	switch (question.what) {
	case SS_ASK_ALONE:
		return is_alone();
	case SS_ASK_LEAVE_TO_US:
		remember_shim();
		return 1;
	}
	file = file_at(question.fd);
	if (question.what != SS_ASK_OWNERS)
		return file ? answer_who_leaves(file, question.what) : 0;
	n = file ? references(file) : SS_OWNERS_MANY;
	return n > 0 && n < SS_OWNERS_MANY ? n : SS_OWNERS_MANY;
}

#endif
