#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""leave.py SCENARIO [NUMBER...]: exchanges that are worth registering, then small
messages one way, which are not. Each end is a process without threads. Every byte is
checked; exit status 0."""

import os
import random
import select
import signal
import socket
import sys
import threading
import time

from worth import LIMIT_SECS, connection, exchange, pattern, receive

SIZE = 64
MESSAGES = [pattern(SIZE, i) for i in range(256)]


def flooded(times, start=0):
    return b''.join(MESSAGES[(start + i) % 256] for i in range(times))


def flood(end, times, start=0):
    for i in range(times):
        end.sendall(MESSAGES[(start + i) % 256])


def answer(end, times, size=100):
    """The server's part of exchange()."""
    for i in range(times):
        receive(end, pattern(size, i))
        end.sendall(pattern(size, i + 1))


def ask(end, times, size=100):
    for i in range(times):
        end.sendall(pattern(size, i))
        receive(end, pattern(size, i + 1))


def with_server(serve, *args):
    """A connection to a child that does @serve with its end of it. Exits as it does,
    when the caller has closed its own."""
    client, server = connection(no_delay=0)
    child = os.fork()
    if not child:
        client.close()
        try:
            signal.alarm(LIMIT_SECS)
            serve(server, *args)
            os._exit(0)
        except BaseException as e:
            print(f'server: {e}', file=sys.stderr, flush=True)
            os._exit(1)
    server.close()
    return client, lambda: os.waitpid(child, 0)[1]


def again(times, floods):
    """Exchanges after a flood, and a flood after those."""
    times, floods = int(times), int(floods)

    def serve(end):
        for _ in range(floods):
            answer(end, 10)
            receive(end, flooded(times))
        answer(end, 200)
    client, wait = with_server(serve)
    for i in range(floods):
        ask(client, 10)
        flood(client, times)
    ask(client, 200)
    assert not wait()


def unread(times, size):
    """What the client has not read when it floods is still there behind that."""
    times, size = int(times), int(size)

    def serve(end):
        answer(end, 10)
        end.sendall(pattern(size))
        end.sendall(pattern(1)) # the client knows that the others are there
        receive(end, flooded(times))
        end.sendall(pattern(size, 1))
    client, wait = with_server(serve)
    ask(client, 10)
    while len(client.recv(size + 1, socket.MSG_PEEK)) < size + 1:
        pass
    flood(client, times)
    receive(client, pattern(size) + pattern(1) + pattern(size, 1))
    assert not wait()


def in_parts(times, parts):
    """The last one of these reads leaves nothing."""
    times, parts = int(times), int(parts)
    size = 25 * parts

    def serve(end):
        answer(end, 2)
        answer(end, 1, size)
        receive(end, flooded(times))
        end.sendall(pattern(size))
    client, wait = with_server(serve)
    ask(client, 2)
    client.sendall(pattern(size))
    client.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)
    for i in range(parts):
        assert client.recv(25) == pattern(size, 1)[25 * i:25 * (i + 1)]
    flood(client, times)
    receive(client, pattern(size))
    assert not wait()


def held(times):
    """Another process has the socket as well."""
    times = int(times)

    def serve(end):
        answer(end, 10)
        receive(end, flooded(times))
        end.sendall(pattern(100))
    client, wait = with_server(serve)
    ask(client, 10)
    reader, writer = os.pipe()
    other = os.fork()
    if not other:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    flood(client, times)
    receive(client, pattern(100))
    os.close(writer)
    assert not os.waitpid(other, 0)[1]
    assert not wait()


def threads(times):
    """Another thread could use the socket at any time."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    again(times, 1)
    done.set()
    thread.join()


def reads_slowly(end, size):
    answer(end, 10)
    left = memoryview(flooded(size // SIZE))
    while left:
        data = end.recv(min(len(left), 65536))
        assert data and left[:len(data)] == data, 'other bytes'
        left = left[len(data):]
        time.sleep(0.0005)
    end.sendall(b'all')


def edges(times):
    """The send buffer is full most of the time; who waits is told so once."""
    size = int(times) * SIZE
    client, wait = with_server(reads_slowly, size)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    ask(client, 10)
    client.setblocking(False)
    poller = select.epoll()
    poller.register(client, select.EPOLLOUT | select.EPOLLET)
    poller.poll(0)
    sent = 0
    while sent < size:
        try:
            at = sent % SIZE
            sent += client.send(MESSAGES[sent // SIZE % 256][at:])
        except BlockingIOError:
            assert poller.poll(5), 'it is not told that there is room'
    client.setblocking(True)
    receive(client, b'all')
    assert not wait()


def ends_now_and_then(end, times, seed):
    chance = random.Random(seed)
    answer(end, 10)
    receive(end, flooded(chance.randrange(times)))
    end.sendall(b'the last')
    end.shutdown(socket.SHUT_WR)
    while end.recv(65536):
        pass


def ended(times, seed):
    client, wait = with_server(ends_now_and_then, times, seed)
    ask(client, 10)
    flood(client, times)
    receive(client, b'the last')
    assert client.recv(1) == b''
    client.close()
    assert not wait()


def each_alone(scenario, connections, times):
    """A process for each connection, which may leave at once."""
    for seed in range(int(connections)):
        child = os.fork()
        if not child:
            scenario(int(times), seed)
            os._exit(0)
        assert not os.waitpid(child, 0)[1]


def end(connections, times):
    """It sends its last bytes while the client leaves, or before, or after."""
    each_alone(ended, connections, times)


def speaks_now_and_then(end, times, seed):
    """Reads the flood, and says something at moments that nobody expects."""
    chance = random.Random(seed)
    left = memoryview(flooded(times))
    said = 0
    soon = time.monotonic()
    end.setblocking(False)
    while left:
        try:
            data = end.recv(min(len(left), 65536))
            assert data and left[:len(data)] == data, 'other bytes'
            left = left[len(data):]
        except BlockingIOError:
            time.sleep(0.0005)
        if time.monotonic() > soon:
            soon = time.monotonic() + chance.choice((0.001, 0.02, 0.05, 0.08))
            end.sendall(pattern(50, said % 256))
            said += 1
    end.setblocking(True)
    end.sendall(b'\0' + said.to_bytes(4, 'big'))


def heard(data):
    """Checks all that speaks_now_and_then() has said."""
    said = int.from_bytes(data[-4:], 'big')
    expected = b''.join(pattern(50, i % 256) for i in range(said))
    assert data[-5] == 0 and data[:-5] == expected, \
        f'{len(data) - 5} bytes, not {len(expected)}, or other ones'


def stirred(times, seed):
    def serve(end):
        answer(end, 10)
        speaks_now_and_then(end, times, seed)
    client, wait = with_server(serve)
    ask(client, 10)
    data = bytearray()
    for i in range(times):
        client.sendall(MESSAGES[i % 256])
        if i % 64 == 0:
            try:
                data += client.recv(1000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
    while more := client.recv(1000):
        data += more
    heard(bytes(data))
    assert not wait()


def stir(connections, times):
    """The peer speaks while the client leaves, or is about to, or has left."""
    each_alone(stirred, connections, times)


if __name__ == '__main__':
    signal.alarm(LIMIT_SECS)
    globals()[sys.argv[1]](*sys.argv[2:])
