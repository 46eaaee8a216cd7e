/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether the calling thread sends for io_uring. That continues a send with
 * MSG_WAITALL where the socket left the iterator; tcp_bpf_sendmsg() leaves it
 * behind bytes that TCP did not take, and they would be lost.
 */
#ifndef SOCKSHUNT_RING_BPF_H
#define SOCKSHUNT_RING_BPF_H

/* Set by the loader where our programs may ask for the current task (5.10's
 * sk_msg may not); the verifier then skips what follows. */
const volatile __u32 knows_task;

#define PF_IO_WORKER 0x10 /* include/linux/sched.h */

static __always_inline bool has_ring(void)
{
	struct task_struct *task;

	if (!knows_task)
		return false;
	task = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(task, flags) & PF_IO_WORKER)
		return true;
	return bpf_core_field_exists(task->io_uring) &&
	       BPF_CORE_READ(task, io_uring);
}

#endif
