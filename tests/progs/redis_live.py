# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""redis_live.py PORT FILE: one connection to redis, random values there and back,
every byte compared, until FILE exists. Prints a line of progress for each 100
rounds, and at the end how many rounds there were, and whether redis saw the same
client all the time."""
import os
import random
import socket
import sys

port, until = int(sys.argv[1]), sys.argv[2]
connection = socket.create_connection(("127.0.0.1", port), timeout=10)
replies = connection.makefile("rb")
rng = random.Random(1)


def call(*words):
    data = b"*%d\r\n" % len(words)
    data += b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
    connection.sendall(data)
    line = replies.readline()
    if line[:1] == b"$":
        return replies.read(int(line[1:]) + 2)[:-2]
    return line


client = call(b"CLIENT", b"ID")
rounds = 0
while not os.path.exists(until):
    value = rng.randbytes(rng.choice((1, 100, 5000, 60000)))
    assert call(b"SET", b"live", value) == b"+OK\r\n"
    assert call(b"GET", b"live") == value, "bytes differ in round %d" % rounds
    rounds += 1
    if rounds % 100 == 0:
        print("at", rounds, flush=True)
same = call(b"CLIENT", b"ID") == client
print("rounds", rounds, "same client" if same else "another client", flush=True)
