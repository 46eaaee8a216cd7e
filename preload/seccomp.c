/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "../bpf/permit.h"
#include "../conf/log.h"
#include "blocking.h"
#include "hooks.h"
#include "runtime.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OUR_ARCH

struct machine {
	const struct seccomp_data *data;
	uint32_t a, x, mem[BPF_MEMWORDS];
};

static uint32_t compute(uint32_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	default: /* BPF_NEG */
		return -a;
	}
}

static bool jumps(uint32_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default: /* BPF_JSET */
		return a & b;
	}
}

static uint32_t load(const struct machine *m, const struct sock_filter *f)
{
	uint32_t word = 0;

	switch (BPF_MODE(f->code)) {
	case BPF_ABS:
		if (f->k <= sizeof(*m->data) - sizeof(word))
			memcpy(&word, (const char *)m->data + f->k,
			       sizeof(word));
		return word;
	case BPF_LEN:
		return sizeof(*m->data);
	case BPF_MEM:
		return m->mem[f->k % BPF_MEMWORDS];
	default: /* BPF_IMM */
		return f->k;
	}
}

/* What seccomp_check_filter() lets through. */
static uint32_t run(const struct sock_fprog *prog,
		    const struct seccomp_data *data)
{
	struct machine m = { .data = data };

	for (size_t pc = 0; pc < prog->len; pc++) {
		const struct sock_filter *f = &prog->filter[pc];
		uint32_t b = BPF_SRC(f->code) == BPF_X ? m.x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			m.a = load(&m, f);
			break;
		case BPF_LDX:
			m.x = load(&m, f);
			break;
		case BPF_ST:
			m.mem[f->k % BPF_MEMWORDS] = m.a;
			break;
		case BPF_STX:
			m.mem[f->k % BPF_MEMWORDS] = m.x;
			break;
		case BPF_ALU:
			if (BPF_OP(f->code) == BPF_DIV && !b)
				return SECCOMP_RET_KILL_THREAD; /* 0 */
			m.a = compute(BPF_OP(f->code), m.a, b);
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				pc += f->k;
			else
				pc += jumps(BPF_OP(f->code), m.a, b) ? f->jt
								     : f->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		default: /* BPF_MISC */
			if (BPF_MISCOP(f->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static bool lets(const struct sock_fprog *prog, const struct ss_call *call)
{
	struct seccomp_data data = { .nr = (int)call->nr, .arch = OUR_ARCH };

	for (int i = 0; i < 6; i++)
		data.args[i] = call->args[i];
	switch (run(prog, &data) & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return true;
	case SECCOMP_RET_ERRNO:
		return call->nr != SYS_bpf;
	default: /* a supervisor or handler knows nothing of us, either */
		return false;
	}
}

/* The kernel has read @prog, so we may. */
static unsigned int forbidden_by(const struct sock_fprog *prog)
{
	unsigned int duties = 0;

	for (size_t i = 0; i < ss_nr_calls; i++) {
		if (!lets(prog, &ss_calls[i]))
			duties |= ss_calls[i].duties;
	}
	return duties;
}

#else

static unsigned int forbidden_by(const struct sock_fprog *prog)
{
	(void)prog;
	return SS_DUTY_ALL;
}

#endif

/*
 * For the whole process, though it may be one thread's: that one's children
 * inherit it, and we do not see them start.
 */
static void forbid(unsigned int duties)
{
	bool could = ss_may(SS_DUTY_BPF);

	ss_permit_forbid(duties);
	if (!ss_may(SS_DUTY_READ))
		ss_blocking_timed = false; /* no time stamp counter, even */
	if (could && !ss_may(SS_DUTY_BPF) && ss_runtime_is_on())
		ss_log(SS_LOG_INFO,
		       "the program has installed a seccomp filter that "
		       "forbids bpf(2): further connections stay on TCP");
}

/* Only read, write and exit are left, then. */
static void announce_strict(void)
{
	if (ss_runtime_is_on())
		ss_log(SS_LOG_INFO,
		       "the program enters seccomp's strict mode: nothing of "
		       "ours runs any more");
}

long ss_seccomp_set(unsigned int operation, unsigned int flags, void *args)
{
	long result;

	/* Others are for the kernel to refuse; libseccomp asks it so. */
	if (operation == SECCOMP_SET_MODE_STRICT && !flags && !args)
		announce_strict();
	result = REAL(syscall)(SYS_seccomp, operation, flags, (long)args, 0, 0,
			       0);
	/* With SECCOMP_FILTER_FLAG_TSYNC, a thread that could not follow. */
	if (result < 0 ||
	    (result > 0 && !(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)))
		return result;
	if (operation == SECCOMP_SET_MODE_STRICT)
		forbid(SS_DUTY_ALL);
	else if (operation == SECCOMP_SET_MODE_FILTER)
		forbid(forbidden_by(args));
	return result;
}

long ss_seccomp_prctl(int option, unsigned long a, unsigned long b,
		      unsigned long c, unsigned long d)
{
	long result;

	if (option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT)
		announce_strict();
	result = REAL(prctl)(option, a, b, c, d);
	if (option != PR_SET_SECCOMP || result)
		return result;
	if (a == SECCOMP_MODE_STRICT)
		forbid(SS_DUTY_ALL);
	else
		forbid(forbidden_by((const struct sock_fprog *)b));
	return result;
}
