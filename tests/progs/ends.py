# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""ends.py server PORT: an asyncio echo server.
ends.py client PORT CONNS ROUNDS: asyncio streams, every byte compared.
ends.py files PORT FILE: socket.makefile(), in lines and in bytes, and
socket.sendfile() of FILE, echoed, and loop.sendfile() of it, at PORT + 1; all
compared.
Clients print what they have done."""
import asyncio
import hashlib
import random
import socket
import sys
import threading


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def server(port):
    listener = await asyncio.start_server(echo, "127.0.0.1", port, backlog=256)
    await listener.serve_forever()


async def converse(port, number, rounds):
    rng = random.Random(number)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    total = 0
    for i in range(rounds):
        data = rng.randbytes(int(200000 ** rng.random()))
        # Together: what is echoed must be read while the rest is sent.
        writer.write(data)
        got, _ = await asyncio.gather(
            reader.readexactly(len(data)), writer.drain()
        )
        if got != data:
            raise SystemExit(f"wrong: connection {number}, round {i}")
        total += len(data)
    writer.write_eof()
    if await reader.read():
        raise SystemExit(f"wrong: connection {number}, something after its end")
    writer.close()
    return total


async def client(port, conns, rounds):
    totals = await asyncio.wait_for(
        asyncio.gather(*(converse(port, i, rounds) for i in range(conns))), 40
    )
    print(f"{conns} connections, {sum(totals)} bytes")


def lines(port):
    rng = random.Random(1)
    with socket.create_connection(("127.0.0.1", port)) as conn:
        with conn.makefile("rw", encoding="ascii", newline="\n") as file:
            for i in range(500):
                line = f"{i} " + "x" * rng.randrange(10000) + "\n"
                file.write(line)
                file.flush()
                if file.readline() != line:
                    raise SystemExit(f"wrong: line {i}")
        with conn.makefile("rwb") as file:
            for i in range(500):
                data = rng.randbytes(rng.randrange(1, 20000))
                file.write(data)
                file.flush()
                if file.read(len(data)) != data:
                    raise SystemExit(f"wrong: bytes {i}")
            conn.shutdown(socket.SHUT_WR)
            if file.read():
                raise SystemExit("wrong: something after the end")


def hash_of(file):
    return hashlib.file_digest(file, "sha256").hexdigest()


def sendfile(port, name):
    with open(name, "rb") as file, socket.create_connection(
        ("127.0.0.1", port)
    ) as conn:
        want = hash_of(file)

        def send():
            file.seek(0)
            conn.sendfile(file)
            conn.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = hashlib.sha256()
        while data := conn.recv(100000):
            got.update(data)
        sender.join()
        if got.hexdigest() != want:
            raise SystemExit("wrong: sendfile of a socket")


async def loop_sendfile(port, name):
    """A loop does not read while it sends a file: no echo here."""

    async def give(_, writer):
        await asyncio.get_running_loop().sendfile(writer.transport, file)
        writer.close()

    with open(name, "rb") as file:
        want = hash_of(file)
        for _ in range(3):
            file.seek(0)
            listener = await asyncio.start_server(give, "127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            got = hashlib.sha256()
            while data := await reader.read(100000):
                got.update(data)
            if got.hexdigest() != want:
                raise SystemExit("wrong: sendfile of a loop")
            writer.close()
            listener.close()


def main():
    role, port = sys.argv[1], int(sys.argv[2])
    if role == "server":
        asyncio.run(server(port))
    elif role == "client":
        asyncio.run(client(port, int(sys.argv[3]), int(sys.argv[4])))
    else:
        lines(port)
        sendfile(port, sys.argv[3])
        asyncio.run(loop_sendfile(port + 1, sys.argv[3]))
        print("all right")


main()
