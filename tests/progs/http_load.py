# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A web server that answers POST with what it got, and a client that checks.

http_load.py echo PORT
http_load.py load PORT DIRECTORY REQUESTS WORKERS

The client asks for files of DIRECTORY, and posts bodies of random sizes, over
connections that are kept; each answer must be the file, or the body, by hash.
It prints "N requests, N bytes, N connections".
"""
import hashlib
import http.client
import http.server
import multiprocessing
import os
import random
import sys


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class EchoServer(http.server.ThreadingHTTPServer):
    request_queue_size = 128


def sha256(data):
    return hashlib.sha256(data).digest()


def load(port, files, requests, seed):
    rng = random.Random(seed)
    pool = rng.randbytes(1 << 20)
    names = sorted(files)
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    total = connections = 0
    for _ in range(requests):
        if conn.sock is None:
            connections += 1
        if rng.random() < 0.2:
            # 0 bytes to 1 MB, mostly small.
            size = int((1 << 20) ** rng.random()) - 1
            start = rng.randrange(len(pool) - size)
            body = pool[start : start + size]
            conn.request("POST", "/echo", body)
            want = sha256(body)
        else:
            name = rng.choice(names)
            conn.request("GET", "/" + name)
            want = files[name]
        answer = conn.getresponse()
        got = answer.read()
        if answer.status != 200 or sha256(got) != want:
            raise SystemExit(f"wrong: {answer.status}, {len(got)} bytes")
        total += len(got)
    return total, connections


def main():
    port = int(sys.argv[2])
    if sys.argv[1] == "echo":
        EchoServer(("127.0.0.1", port), Echo).serve_forever()
    directory, requests, workers = sys.argv[3], *map(int, sys.argv[4:6])
    files = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            files[name] = sha256(file.read())
    with multiprocessing.Pool(workers) as pool:
        done = pool.starmap(
            load, [(port, files, requests // workers, i) for i in range(workers)]
        )
    print(
        f"{requests // workers * workers} requests,"
        f" {sum(d[0] for d in done)} bytes,"
        f" {sum(d[1] for d in done)} connections"
    )


main()
