# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""redis_fill.py SEED KEYS: commands in redis' protocol, for redis-cli --pipe,
that make KEYS keys of every type, with random bytes in them."""
import random
import sys


def main():
    seed, keys = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)

    def some_bytes(most):
        return rng.randbytes(int(most ** rng.random()))

    def command(*words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
        sys.stdout.buffer.write(b"".join(parts))

    for i in range(keys):
        kind = ("string", "list", "hash", "set", "zset")[i % 5]
        key = f"{kind}:{seed}:{i}"
        if kind == "string":
            command("set", key, some_bytes(100000))
            continue
        for j in range(rng.randint(1, 8)):
            item = some_bytes(4000)
            if kind == "list":
                command("rpush", key, item)
            elif kind == "hash":
                command("hset", key, f"field{j}", item)
            elif kind == "set":
                command("sadd", key, item)
            else:
                command("zadd", key, rng.random(), item)


main()
