/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * splice(2) from a socket looks into TCP's own queue only, and would wait for ever
 * for bytes that were redirected. The shim's programs go another way (preload/
 * splice.c); to others in the cgroup the kernel says that this socket cannot be
 * spliced, EINVAL, as it does for most files: Go, HAProxy and others then read and
 * write instead.
 *
 * splice(2) has no hook of its own, but it asks for permission to read.
 */
#ifndef SOCKSHUNT_SPLICE_BPF_H
#define SOCKSHUNT_SPLICE_BPF_H

#define MAY_READ 4 /* include/linux/fs.h */

/* splice(2)'s number, of 64- and 32-bit programs, and its last argument. */
#define X86_SPLICE   275
#define I386_SPLICE  313
#define ARM64_SPLICE 76
#define ARM_SPLICE   340

struct splice_call {
	bool is_splice;
	__u64 flags;
};

static __always_inline struct splice_call current_call(void)
{
	struct pt_regs *regs =
		(void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct pt_regs___arm64 *arm64 = (void *)regs;
	long number;

	if (bpf_core_field_exists(regs->orig_ax)) {
		number = BPF_CORE_READ(regs, orig_ax);
		if (number == X86_SPLICE)
			return (struct splice_call){ true,
						     BPF_CORE_READ(regs, r9) };
		return (struct splice_call){ number == I386_SPLICE,
					     BPF_CORE_READ(regs, bp) };
	}
	number = BPF_CORE_READ(arm64, syscallno);
	return (struct splice_call){ number == ARM64_SPLICE ||
					     number == ARM_SPLICE,
				     BPF_CORE_READ(arm64, regs[5]) };
}

static __always_inline bool is_in_our_maps(struct sock *sk)
{
	const bool direct = false;
	unsigned long addr = psock_of(sk, direct);
	struct sk_psock *psock = (void *)addr;

	return addr && is_ours((void *)BPF_CORE_READ(psock, link.next));
}

SEC("fmod_ret/security_file_permission")
int sockshunt_splice(__u64 *args)
{
	struct file *file = (void *)args[0];
	int mask = (int)args[1], ret = (int)args[2];
	struct splice_call call;
	struct socket *sock;
	struct sock *sk;

	if (ret || !(mask & MAY_READ) ||
	    (file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return ret;
	call = current_call();
	if (!call.is_splice || call.flags & SS_SPLICE_KNOWS)
		return 0;
	sock = file->private_data;
	sk = BPF_CORE_READ(sock, sk);
	if (!is_in_our_maps(sk))
		return 0;
	COUNT(splices_refused);
	return -EINVAL;
}

#endif
