/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * All operations: X(name, function without op_, fewest arguments, quiet).
 * After a quiet one the other peer sees nothing new.
 */
#ifndef SOCKSHUNT_TESTS_OPS_H
#define SOCKSHUNT_TESTS_OPS_H

#define OPS(X)                                                                 \
	/* the coordinator's own: steps of a script are made of them */        \
	X(listen, listen, 0, true)                                             \
	X(connect, connect, 0, false)                                          \
	X(accept, accept, 0, false)                                            \
	X(disconnect, disconnect, 0, false)                                    \
	X(socket, socket, 1, true)                                             \
	/* write */                                                            \
	X(send, send, 1, false)                                                \
	X(write, write, 1, false)                                              \
	X(writev, writev, 1, false)                                            \
	X(sendmsg, sendmsg, 1, false)                                          \
	X(sendmmsg, sendmmsg, 2, false)                                        \
	X(sendto, sendto, 1, false)                                            \
	X(sendfile, sendfile, 1, false)                                        \
	X(splice_in, splice_in, 1, false)                                      \
	X(send_oob, send_oob, 1, false)                                        \
	X(fill, fill, 0, false)                                                \
	X(fill1, fill1, 1, false)                                              \
	X(send_records, send_records, 2, false)                                \
	X(uring_send, uring_send, 1, false)                                    \
	/* read */                                                             \
	X(recv, recv, 1, false)                                                \
	X(read, read, 1, false)                                                \
	X(readv, readv, 1, false)                                              \
	X(recvfrom, recvfrom, 1, false)                                        \
	X(recvmsg, recvmsg, 1, false)                                          \
	X(recvmmsg, recvmmsg, 2, false)                                        \
	X(recv_chk, recv_chk, 1, false)                                        \
	X(read_chk, read_chk, 1, false)                                        \
	X(recvfrom_chk, recvfrom_chk, 1, false)                                \
	X(recv_null, recv_null, 1, false)                                      \
	X(recv_records, recv_records, 3, false)                                \
	X(splice_out, splice_out, 1, false)                                    \
	X(stdio_gets, stdio_gets, 0, false)                                    \
	X(recv_exactly, recv_exactly, 1, false)                                \
	X(read_all, read_all, 0, false)                                        \
	X(zerocopy_receive, zerocopy_receive, 0, false)                        \
	X(uring_recv, uring_recv, 1, false)                                    \
	X(uring_accept, uring_accept, 0, true)                                 \
	/* wait */                                                             \
	X(poll, poll, 2, true)                                                 \
	X(ppoll, ppoll, 2, true)                                               \
	X(select, select, 2, true)                                             \
	X(pselect, pselect, 2, true)                                           \
	X(epoll_add, epoll_add, 1, true)                                       \
	X(epoll_mod, epoll_mod, 1, true)                                       \
	X(epoll_del, epoll_del, 0, true)                                       \
	X(epoll_wait, epoll_wait, 1, true)                                     \
	X(epoll_pwait, epoll_pwait, 1, true)                                   \
	/* options, and what a socket can be asked */                          \
	X(ioctl, ioctl, 1, true)                                               \
	X(sockatmark, sockatmark, 0, true)                                     \
	X(setsockopt, setsockopt, 1, false)                                    \
	X(getsockopt, getsockopt, 1, true)                                     \
	X(nonblock, nonblock, 1, true)                                         \
	/* signals */                                                          \
	X(own, own, 0, true)                                                   \
	X(async, async, 1, true)                                               \
	X(sigaction, sigaction, 2, true)                                       \
	X(alarm, alarm, 1, true)                                               \
	X(signals, signals, 0, true)                                           \
	/* descriptors */                                                      \
	X(shutdown, shutdown, 1, false)                                        \
	X(close, close, 0, false)                                              \
	X(dup, dup, 0, true)                                                   \
	X(close_dup, close_dup, 0, false)                                      \
	X(use_dup, use_dup, 0, true)                                           \
	X(fork_hold, fork_hold, 0, true)                                       \
	X(fork_read, hold_read, 1, false)                                      \
	X(fork_send, hold_send, 1, false)                                      \
	X(fork_release, hold_release, 0, false)                                \
	X(exec_hold, exec_hold, 0, true)                                       \
	X(exec_read, hold_read, 1, false)                                      \
	X(exec_send, hold_send, 1, false)                                      \
	X(exec_release, hold_release, 0, false)                                \
	X(pass, pass, 0, true)                                                 \
	X(pass_read, hold_read, 1, false)                                      \
	X(pass_send, hold_send, 1, false)                                      \
	X(pass_close, hold_release, 0, false)                                  \
	X(waste_numbers, waste_numbers, 0, false)

#endif
