#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""worth.py SCENARIO [NUMBER...]: both ends of a TCP connection over loopback, which
do what makes it worth registering, or not. Every byte is checked; exit status 0."""

import array
import ctypes
import errno
import functools
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

LARGE = 65536
LIMIT_SECS = 20
SYS_READ = {'x86_64': 0, 'aarch64': 63}[os.uname().machine]


def connection(no_delay=1):
    listener = socket.create_server(('127.0.0.1', 0))
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
    listener.close()
    return client, server


@functools.lru_cache(maxsize=None)
def pattern(size, start=0):
    return bytes((start + i * 7 + i // 251) % 256 for i in range(size))


def receive(end, expected):
    got = bytearray()
    while len(got) < len(expected):
        data = end.recv(min(len(expected) - len(got), LARGE))
        if not data:
            break
        got += data
    assert bytes(got) == expected, 'the bytes are not those that were sent'


def exchange(client, server, times, size=100):
    for i in range(times):
        client.sendall(pattern(size, i))
        receive(server, pattern(size, i))
        server.sendall(pattern(size, i + 1))
        receive(client, pattern(size, i + 1))


def run(function, *args):
    """In a thread of its own; its exceptions end this program."""
    def body():
        try:
            function(*args)
        except BaseException as e:
            print(f'{function.__name__}: {e}', file=sys.stderr, flush=True)
            os._exit(1)
    thread = threading.Thread(target=body)
    thread.start()
    return thread


def exchanges(times):
    exchange(*connection(), int(times))


def elsewhere():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        for address in ('192.0.2.1', '2001:db8::1'):
            family = socket.AF_INET6 if ':' in address else socket.AF_INET
            with socket.socket(family, kind) as end:
                end.setblocking(False)
                assert end.connect_ex((address, 53))


def oneway(size, times):
    client, server = connection(no_delay=0)
    size, times = int(size), int(times)

    def send():
        for _ in range(times):
            client.sendall(pattern(size))
    sender = run(send)
    receive(server, pattern(size) * times)
    sender.join()


def large(at_once, unread, times):
    """So many messages and more are never read, until the end."""
    client, server = connection()
    at_once, unread, times = int(at_once), int(unread), int(times)
    client.sendall(pattern(LARGE) * unread)
    for _ in range(times):
        for _ in range(at_once):
            client.sendall(pattern(LARGE))
        assert server.recv(at_once * LARGE, socket.MSG_WAITALL) == \
            pattern(LARGE) * at_once
    receive(server, pattern(LARGE) * unread)


def trickle(size, times):
    """Each goes by itself, whether Nagle's algorithm is on or not."""
    client, server = connection(no_delay=0)
    for i in range(int(times)):
        client.sendall(pattern(int(size), i % 256))
        time.sleep(0.001)
        receive(server, pattern(int(size), i % 256))


def flood(size, times):
    """Exchanges, then small messages one way, each unlike the last one, then
    exchanges again."""
    ends = connection(no_delay=0)
    size, times = int(size), int(times)
    for client, server in (ends, ends[::-1]):
        exchange(client, server, 10)
        messages = [pattern(size, i % 256) for i in range(times)]

        def send():
            for message in messages:
                client.sendall(message)
        sender = run(send)
        receive(server, b''.join(messages))
        sender.join()
    exchange(*ends, 100)


def read_late(ends, each):
    """All of them by turns, after a while in which all buffers have become full."""
    expected = pattern(LARGE) * 3
    read = dict.fromkeys(ends, 0)
    buffer = bytearray(2 * LARGE)
    poller = select.epoll()
    for end in ends:
        poller.register(end, select.EPOLLIN)
    by_number = {end.fileno(): end for end in ends}
    time.sleep(0.2)
    while min(read.values()) < each:
        for number, _ in poller.poll():
            end = by_number[number]
            try:
                size = end.recv_into(buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            at = read[end] % LARGE
            assert size and buffer.startswith(expected[at:at + size])
            read[end] += size
    os._exit(0)


def behind(connections, times):
    """The reader begins late, and has then much to read of each connection."""
    pairs = [connection() for _ in range(int(connections))]
    for pair in pairs:
        exchange(*pair, 10)
    child = os.fork()
    if not child:
        signal.alarm(LIMIT_SECS)
        for client, _ in pairs:
            client.close()
        read_late([server for _, server in pairs], LARGE * int(times))
    for _, server in pairs:
        server.close()
    for _ in range(int(times)):
        for client, _ in pairs:
            client.sendall(pattern(LARGE))
    assert os.waitpid(child, 0)[1] == 0


def read_slowly(client, server, times, seconds):
    """In a child, that leaves the CPU to others so long after each."""
    child = os.fork()
    if child:
        return child
    signal.alarm(LIMIT_SECS)
    client.close()
    left = LARGE * times
    while left:
        left -= len(server.recv(min(left, LARGE)))
        time.sleep(seconds)
    os._exit(0)


def slow(times, seconds, timeout):
    """A sender that blocks, if not 0 so long at most, to a reader that is slower."""
    client, server = connection()
    exchange(client, server, 10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                      struct.pack('ll', int(timeout), 0))
    child = read_slowly(client, server, int(times), float(seconds))
    server.close()
    for _ in range(int(times)):
        client.sendall(pattern(LARGE))
    assert os.waitpid(child, 0)[1] == 0


def nonblocking(times):
    """A sender that must not sleep, to a reader that is slower."""
    client, server = connection()
    exchange(client, server, 10)
    child = read_slowly(client, server, int(times), 0.0002)
    client.setblocking(False)
    left = LARGE * int(times)
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    while left:
        try:
            left -= client.send(pattern(min(left, LARGE)))
        except BlockingIOError:
            pass
    slept = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before
    assert os.waitpid(child, 0)[1] == 0
    print(f'slept {slept}')


def large_beside(wait_for_answer):
    """While somebody waits in a read, another writes what is worth it; and
    then the answer comes by the short way, or behind bytes by TCP."""
    client, server = connection()
    waiter = wait_for_answer(client)
    for _ in range(3):
        sender = run(lambda: [client.sendall(pattern(LARGE))
                              for _ in range(8)])
        receive(server, pattern(LARGE) * 8)
        sender.join()
    exchange_back(server)
    waiter()
    # From now on reads begin anew, and nobody else holds it.
    exchange(client, server, 40)


def exchange_back(server):
    for i in range(20):
        server.sendall(pattern(100, i))


ANSWER = b''.join(pattern(100, i) for i in range(20))


def in_thread(client):
    return run(receive, client, ANSWER).join


def in_child(client):
    child = os.fork()
    if not child:
        signal.alarm(LIMIT_SECS)
        receive(client, ANSWER)
        os._exit(0)

    def join():
        assert os.waitpid(child, 0)[1] == 0, 'the child got no answer'
    return join


def raw(client):
    """By system calls that no library sees."""
    libc = ctypes.CDLL(None)

    def body():
        got = b''
        buf = ctypes.create_string_buffer(4096)
        while len(got) < len(ANSWER):
            n = libc.syscall(SYS_READ, client.fileno(), buf, 4096)
            # EAGAIN: what the kernel does to who has no shim (README).
            if n > 0:
                got += buf.raw[:n]
        assert got == ANSWER
    return run(body).join


def beside(who):
    large_beside({'thread': in_thread, 'child': in_child, 'raw': raw}[who])


def handed_over(way):
    """To a process, before it was worth it."""
    client, server = connection()
    exchange(client, server, 1)
    ours, its = socket.socketpair()
    child = os.fork()
    if not child:
        signal.alarm(LIMIT_SECS)
        client.close()
        if way == 'fork':
            end = server
        elif way == 'exec':
            os.dup2(server.fileno(), 0, inheritable=True)
            os.execv(sys.executable, [sys.executable, __file__, 'serve'])
        else:
            server.close()
            fds = array.array('i')
            _, control, _, _ = its.recvmsg(1, socket.CMSG_LEN(fds.itemsize))
            fds.frombytes(control[0][2])
            end = socket.socket(fileno=fds[0])
        echo(end)
        os._exit(0)
    if way == 'rights':
        ours.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                               array.array('i', [server.fileno()]))])
    server.close()
    for i in range(100):
        client.sendall(pattern(100, i))
        receive(client, pattern(100, i))
    client.close()
    assert os.waitpid(child, 0)[1] == 0, 'the other process has failed'


def echo(end):
    while True:
        data = end.recv(4096)
        if not data:
            return
        end.sendall(data)


def serve():
    signal.alarm(LIMIT_SECS)
    echo(socket.socket(fileno=0))


def handed_listener(shim):
    """By who has no shim: the kernel registers what is accepted, in a cgroup."""
    listener = socket.create_server(('127.0.0.1', 0))
    env = dict(os.environ, LD_PRELOAD=shim)
    child = subprocess.Popen(
        [sys.executable, __file__, 'accepts', str(listener.fileno())], env=env,
        pass_fds=[listener.fileno()])
    client = socket.create_connection(listener.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(50):
        client.sendall(pattern(100, i))
        receive(client, pattern(100, i))
    client.close()
    assert not child.wait(), 'the server has failed'


def accepts(fd):
    echo(socket.socket(fileno=int(fd)).accept()[0])


def duplicate():
    """Used by another number than it was made with."""
    client, server = connection()
    os.dup2(client.fileno(), 100)
    client.close()
    exchange(socket.socket(fileno=100), server, 10)


def polled():
    """connect(2), and connect(2) again: is it connected now?"""
    listener = socket.create_server(('127.0.0.1', 0))
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    assert client.connect_ex(listener.getsockname()) in (0, errno.EISCONN)
    client.setblocking(True)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    exchange(client, listener.accept()[0], 10)


def reused():
    """Numbers of connections that were worth it, and of those that were not."""
    for times in (10, 1, 10, 1, 1, 10):
        client, server = connection()
        exchange(client, server, times)
        client.close()
        receive(server, b'')
        server.close()


def readers():
    """Of two threads that read one socket, the second makes it worth it."""
    client, server = connection()
    exchange(client, server, 1)
    first = run(receive, server, pattern(100))
    second = run(receive, server, pattern(100))
    client.sendall(pattern(100) * 2)
    first.join()
    second.join()
    exchange(client, server, 10)


def pool(way):
    """Workers that wait in a read of one connection, by a process or a number of
    their own: when one ends, the other gets what comes."""
    client, server = connection()
    other = socket.socket(fileno=os.dup(server.fileno()))
    if way == 'fork':
        child = os.fork()
        if not child:
            signal.alarm(LIMIT_SECS)
            client.close()
            answer(server, 1000)
            os._exit(0)
        workers = [run(answer, server, 6)]
    else:
        workers = [run(answer, server, 6), run(answer, other, 1000)]
    for i in range(40):
        client.sendall(pattern(100, i))
        receive(client, pattern(100, i))
    client.close()
    for worker in workers:
        worker.join()
    if way == 'fork':
        assert os.waitpid(child, 0)[1] == 0, 'the other worker has failed'


def answer(end, most):
    for _ in range(most):
        data = end.recv(100)
        if not data:
            return
        end.sendall(data)


def set_before(name):
    """What only TCP has, asked for by another process."""
    client, server = connection()
    number = {'timestamp': 29, 'zerocopy': 60}[name]
    server.setsockopt(socket.SOL_SOCKET, number, 1)
    child = os.fork()
    if not child:
        os.dup2(server.fileno(), 0, inheritable=True)
        os.execv(sys.executable, [sys.executable, __file__, 'serve'])
    server.close()
    for i in range(20):
        client.sendall(pattern(100, i))
        receive(client, pattern(100, i))
    client.close()
    assert os.waitpid(child, 0)[1] == 0


def option(name):
    """Set between two exchanges: what only TCP has."""
    client, server = connection()
    exchange(client, server, 1)
    if name == 'ulp':
        client.setsockopt(socket.IPPROTO_TCP, 31, b'tls')
    else:
        client.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    exchange(client, server, 20)


def child_sets():
    """A child asks for what only TCP has, of a connection that is not its own."""
    client, server = connection()
    exchange(client, server, 1)
    child = os.fork()
    if not child:
        server.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    exchange(client, server, 10)
    client.sendall(b'x')
    assert server.recvmsg(1, 256)[1], 'no timestamp came'


def late_connect():
    """A connection by non-blocking connect(2), of which poll(2) told."""
    listener = socket.create_server(('127.0.0.1', 0))
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    server = listener.accept()[0]
    client.setblocking(True)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def asked_for_errors(client, server):
    """While a thread waits in a read, SO_ERROR is asked; then the answers come."""
    waiter = run(receive, client, ANSWER)
    time.sleep(0.1)
    assert not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    sender = run(lambda: [client.sendall(pattern(LARGE)) for _ in range(8)])
    receive(server, pattern(LARGE) * 8)
    sender.join()
    time.sleep(0.1)
    exchange_back(server)
    waiter.join()


def urgent_then_errors():
    client, server = late_connect()
    client.send(b'!', socket.MSG_OOB)
    assert server.recv(1, socket.MSG_OOB) == b'!'
    asked_for_errors(client, server)


def full_then_errors(entries):
    """The trial ended when there was no room; later there is."""
    others = [connection() for _ in range(int(entries) // 2)]
    for client, server in others:
        exchange(client, server, 10)
    client, server = late_connect()
    exchange(client, server, 10)
    for ends in others:
        for end in ends:
            end.close()
    asked_for_errors(client, server)


def low_numbers(times):
    """What a thread closes it gets again from dup(2), whatever others do."""
    ends = [connection() for _ in range(int(times))]
    over = threading.Event()

    def close_and_dup():
        number = os.dup(0)
        while not over.is_set():
            os.close(number)
            again = os.dup(0)
            assert again == number, f'{again} in place of {number}'
    worker = run(close_and_dup)
    for client, server in ends:
        exchange(client, server, 4)
    over.set()
    worker.join()


def option_in_a_stream(number, times):
    """Set while bytes come by TCP and by the short way: none is lost."""
    for i in range(int(times)):
        client, server = connection()
        exchange(client, server, 4)
        total = 2000
        sender = run(lambda end=client: [end.sendall(pattern(8))
                                         for _ in range(total)])
        receive(server, pattern(8) * (total // 4))
        if int(number) == socket.SO_RCVLOWAT:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 4)
        else:
            server.setsockopt(socket.SOL_SOCKET, int(number), 1)
        receive(server, pattern(8) * (total - total // 4))
        sender.join()
        client.close()
        server.close()


def errors_kept(shim):
    """Descriptor 0 is a connection, and nothing can be registered: a send that
    is successful leaves errno alone."""
    client, server = connection()
    os.dup2(client.fileno(), 0, inheritable=True)
    client.close()
    child = subprocess.Popen([sys.executable, __file__, 'sends_large'], stdin=0,
                             env=dict(os.environ, LD_PRELOAD=shim))
    receive(server, b'x' * 40000 * 8)
    assert not child.wait(), 'errno was changed'


def sends_large(*_):
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(8):
        ctypes.set_errno(0)
        left = 40000
        while left:
            left -= libc.send(0, b'x' * left, left, 0)
            assert not ctypes.get_errno(), os.strerror(ctypes.get_errno())


def reset_inherited(shim):
    """The program that is started with the connection has it on trial, while it is
    registered: an error is told once, also in a flood."""
    client, server = connection()
    exchange(client, server, 20)
    child = subprocess.Popen([sys.executable, __file__, 'sends_until_reset'],
                             stdin=client.fileno(), stdout=subprocess.PIPE,
                             env=dict(os.environ, LD_PRELOAD=shim))
    client.close()
    receive(server, b'x' * 40)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0' + b'\0' * 4)
    server.close()
    assert child.communicate()[0] == b'ECONNRESET EPIPE EPIPE\n'


def sends_until_reset(*_):
    end = socket.socket(fileno=0)
    for _ in range(40):
        end.sendall(b'x')
    poller = select.poll()
    poller.register(0, select.POLLERR)
    poller.poll()
    told = []
    for _ in range(3):
        try:
            end.send(b'x')
            told.append('nothing')
        except OSError as e:
            told.append(errno.errorcode[e.errno])
    print(*told)


if __name__ == '__main__':
    signal.alarm(LIMIT_SECS)
    globals()[sys.argv[1]](*sys.argv[2:])
