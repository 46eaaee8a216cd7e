# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""memcached_load.py PORT CLIENTS ROUNDS: as many connections at once, each
with keys of its own; every value that comes back must be the one last set.
It prints "N sets, N gets"."""
import asyncio
import random
import sys


async def client(port, number, rounds):
    rng = random.Random(number)
    pool = rng.randbytes(1 << 19)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    values = {}
    sets = gets = 0

    async def expect(want):
        got = await reader.readexactly(len(want))
        if got != want:
            raise SystemExit(f"client {number}: {got[:60]}, not {want[:60]}")

    for _ in range(rounds):
        # A pipeline of a few sets, then of gets in one request.
        for _ in range(rng.randint(1, 4)):
            key = f"{number}.{rng.randrange(50)}"
            size = int(300000 ** rng.random())
            start = rng.randrange(len(pool) - size)
            values[key] = pool[start : start + size]
            writer.write(f"set {key} 0 0 {size}\r\n".encode())
            writer.write(values[key] + b"\r\n")
            sets += 1
            await expect(b"STORED\r\n")
        keys = rng.sample(sorted(values), min(len(values), 10))
        writer.write(f"get {' '.join(keys)}\r\n".encode())
        for key in keys:
            value = values[key]
            await expect(f"VALUE {key} 0 {len(value)}\r\n".encode())
            await expect(value + b"\r\n")
            gets += 1
        await expect(b"END\r\n")
    writer.write(b"quit\r\n")
    if await reader.read():
        raise SystemExit(f"client {number}: something after quit")
    writer.close()
    return sets, gets


async def main():
    port, clients, rounds = map(int, sys.argv[1:])
    done = await asyncio.gather(
        *(client(port, number, rounds) for number in range(clients))
    )
    print(f"{sum(d[0] for d in done)} sets, {sum(d[1] for d in done)} gets")


asyncio.run(main())
