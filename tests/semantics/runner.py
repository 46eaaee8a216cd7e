# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Runs scripts by long-running interpreters, in these modes:

tcp     plain TCP
shim    the shim alone registers sockets
cgroup  the shim, and the kernel in a cgroup
late    the shim alone, after an exchange
again   plain TCP once more: a test of the generator
"""

import json
import os
import re
import select
import signal
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
SEMANTICS = os.path.join(ROOT, 'tests/bin/semantics')
SHIM = os.path.join(ROOT, 'preload/libsockshunt.so')
SOCKSHUNT = os.path.join(ROOT, 'tools/sockshunt')
MODES = ('tcp', 'shim', 'cgroup', 'late', 'again')
ACCELERATED = ('shim', 'cgroup', 'late')


class Failure(Exception):
    """Not the product's: something is missing or broken here."""


class World:
    """What is loaded: one pin path for the shim, one for the cgroup."""

    def __init__(self, modes=MODES, busy_polling=False):
        self.dir = os.environ.get('SANDBOX')
        if not self.dir:
            raise Failure('not in a sandbox')
        for path in (SEMANTICS, SHIM, SOCKSHUNT):
            if not os.path.exists(path):
                raise Failure(f'{path} is missing: make fuzz-semantics')
        self.conf = {}
        self.cgroup = None
        self.log = os.path.join(self.dir, 'fuzz.log')
        lines = ('busy_poll_usecs = 1000',) if busy_polling else ()
        if 'shim' in modes:
            self.load('shim', 'register_after_exchanges = 0', *lines)
        if 'late' in modes:
            self.load('late', 'register_after_exchanges = 1', *lines)
        if 'cgroup' in modes and self.make_cgroup():
            self.load('cgroup', f'cgroup_path = {self.cgroup}',
                      'register_after_exchanges = 0', *lines)

    def modes(self):
        return ('tcp',) + tuple(
            m for m in MODES if m in self.conf or m == 'again')

    def make_cgroup(self):
        with open('/proc/self/mounts', encoding='ascii') as mounts:
            for line in mounts:
                if line.split()[2] == 'cgroup2':
                    self.cgroup = tempfile.mkdtemp(
                        prefix='sockshunt-fuzz-', dir=line.split()[1])
                    return True
        return False

    def load(self, mode, *lines):
        conf = os.path.join(self.dir, f'fuzz-{mode}.ini')
        with open(conf, 'w', encoding='ascii') as f:
            f.write('[sockshunt]\n')
            f.write(f'pin_path = {self.dir}/bpf/fuzz-{mode}\n')
            f.write(''.join(line + '\n' for line in lines))
        done = subprocess.run([SOCKSHUNT, 'load', '-c', conf],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise Failure(f'sockshunt load: {done.stdout}')
        self.conf[mode] = conf

    def redirected(self):
        """Messages that were, by accelerated mode."""
        messages = {}
        for mode, conf in self.conf.items():
            out = subprocess.run([SOCKSHUNT, 'status', '--json', '-c', conf],
                                 stdout=subprocess.PIPE, check=True).stdout
            messages[mode] = json.loads(out)['counters']['redirected_messages']
        return messages

    def environment(self, mode):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith('SOCKSHUNT_') and k != 'LD_PRELOAD'}
        if mode in ACCELERATED:
            env.update(LD_PRELOAD=SHIM, SOCKSHUNT_CONF=self.conf[mode],
                       SOCKSHUNT_LOG_FILE=self.log)
        return env

    def kill_all(self):
        """Who is left in the cgroup, if we were stopped by a signal."""
        with open(f'{self.cgroup}/cgroup.procs', encoding='ascii') as f:
            for pid in f.read().split():
                if pid != '0':
                    os.kill(int(pid), signal.SIGKILL)

    def end(self):
        if self.cgroup:
            for _ in range(100):
                try:
                    self.kill_all()
                    os.rmdir(self.cgroup)
                    return
                except OSError:
                    time.sleep(0.05)


class Engine:
    """One interpreter: a mode, a family, and a patience."""

    def __init__(self, world, mode, family, settle=1500, patience=4000):
        self.world, self.mode, self.family = world, mode, family
        self.settle, self.patience = settle, patience
        self.process = None
        self.rest = b''

    def start(self):
        command = [SEMANTICS, '--settle', str(self.settle),
                   '--patience', str(self.patience)]
        if self.family == 6:
            command.append('-6')
        if self.mode == 'cgroup':
            command = ['sh', '-c',
                       'echo $$ >"$0/cgroup.procs" && exec "$@"',
                       self.world.cgroup] + command
        # The shell of the cgroup needs no shim; nor does it do harm there.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.world.environment(self.mode))
        self.rest = b''

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def end(self):
        """Lets it end by itself."""
        if self.process:
            self.process.stdin.close()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                pass
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def one(self, deadline):
        """The next observation; None if the interpreter ended or hangs."""
        fd = self.process.stdout.fileno()
        while True:
            if self.rest.startswith(b'---\n'):
                at = 0
            else:
                at = self.rest.find(b'\n---\n') + 1
                if at == 0:
                    at = -1
            if at >= 0:
                text, self.rest = self.rest[:at], self.rest[at + 4:]
                return text.decode(errors='replace')
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return None
            data = os.read(fd, 65536)
            if not data:
                return None
            self.rest += data

    def run(self, scripts, seconds=60):
        """The observations of all of them."""
        results = []
        todo = list(scripts)
        while todo:
            if not self.process or self.process.poll() is not None:
                self.stop()
                self.start()
            try:
                for s in todo:
                    self.process.stdin.write((s + '---\n').encode())
                self.process.stdin.flush()
            except BrokenPipeError:
                pass
            while todo:
                text = self.one(time.monotonic() + seconds)
                if text is None:
                    results.append(self.rest.decode(errors='replace') +
                                   'INTERPRETER ENDED OR HANGS\n')
                    todo.pop(0)
                    self.stop()
                    break
                results.append(text)
                todo.pop(0)
        return results


class Engines:
    """Interpreters by mode and family, started when first used."""

    def __init__(self, world, settle=1500, patience=4000):
        self.world, self.settle, self.patience = world, settle, patience
        self.engines = {}

    def get(self, mode, family):
        key = (mode, family)
        if key not in self.engines:
            self.engines[key] = Engine(self.world, mode, family, self.settle,
                                       self.patience)
        return self.engines[key]

    def run(self, scripts, modes, family):
        """Observations by mode, all modes at the same time."""
        results = {}

        def work(mode):
            results[mode] = self.get(mode, family).run(scripts)

        threads = [threading.Thread(target=work, args=(m,)) for m in modes[1:]]
        for t in threads:
            t.start()
        work(modes[0])
        for t in threads:
            t.join()
        return results

    def end(self):
        for e in self.engines.values():
            e.end()
        self.engines = {}


def first_difference(one, other):
    """The first line in which two observations differ, of both."""
    a, b = one.splitlines(), other.splitlines()
    for x, y in zip(a, b):
        if x != y:
            return x, y
    n = min(len(a), len(b))
    return (a[n] if n < len(a) else '(ends)'), (b[n] if n < len(b)
                                                else '(ends)')


def signature(one, other):
    """What kind of difference it is, without sizes and positions."""
    started = {}
    for x, y in zip(one.splitlines(), other.splitlines()):
        words = x.partition(' -> ')[0].split()
        if words[1:2] and words[1].startswith('start'):
            started[words[0] + words[1][5:]] = words[2:]
        if x != y:
            break
    x, y = first_difference(one, other)
    words = x.partition(' -> ')[0].split()
    key = words[0] + words[1][4:] if words[1:] else ''
    if words[1:2] and words[1].startswith('join') and key in started:
        words = words[:1] + ['start'] + started[key]
    words = [w for w in words[1:] if not re.fullmatch(r'-?\d+', w) or w == '0']

    def vague(s):
        return re.sub(r'\d+', 'N', s.partition(' -> ')[2] or s)
    return f'{" ".join(words)}: {vague(x)} != {vague(y)}'


def side_by_side(names, observations):
    """Observations as columns: the step, then each mode's result."""
    rows = []
    split = [o.splitlines() for o in observations]
    for i in range(max(len(s) for s in split)):
        lines = [s[i] if i < len(s) else '' for s in split]
        step = next(x for x in lines if x).partition(' -> ')[0]
        results = [x.partition(' -> ')[2] if x else '(nothing)'
                   for x in lines]
        rows.append((step, results))
    width = max([len(r[0]) for r in rows] + [4])
    columns = [max([len(r[1][i]) for r in rows] + [len(n)])
               for i, n in enumerate(names)]
    columns = [min(c, 48) for c in columns]
    text = '  ' + 'step'.ljust(width) + '  ' + '  '.join(
        n.ljust(c) for n, c in zip(names, columns)) + '\n'
    for step, results in rows:
        mark = '  ' if len(set(results)) == 1 else '! '
        text += (mark + step.ljust(width) + '  ' + '  '.join(
            r.ljust(c) for r, c in zip(results, columns))).rstrip() + '\n'
    return text
