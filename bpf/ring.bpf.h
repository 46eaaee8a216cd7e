/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Whether the calling process uses io_uring; see preload/uring.h. */
#ifndef SOCKSHUNT_RING_BPF_H
#define SOCKSHUNT_RING_BPF_H

/* Set by the loader where our programs may ask for the current task (5.10's
 * sk_msg may not); the verifier then skips what follows. */
const volatile __u32 knows_task;

static __always_inline bool has_ring(void)
{
	struct task_struct *task;

	if (!knows_task)
		return false;
	task = (void *)bpf_get_current_task();
	return bpf_core_field_exists(task->io_uring) &&
	       BPF_CORE_READ(task, io_uring);
}

#endif
