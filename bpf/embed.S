/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The compiled BPF object inside the loader: an installed one needs no path. */
	.section .rodata
	.global ss_embedded_object, ss_embedded_object_end
	.balign 16
ss_embedded_object:
	.incbin OBJECT
ss_embedded_object_end:
	.section .note.GNU-stack, "", %progbits
