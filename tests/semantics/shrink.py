# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Makes a script that shows a difference as short as it can."""

import re
import time

from runner import Engines, first_difference


def held_back(lines):
    """Would bytes leave when a timer says so?"""
    corked, more = set(), set()
    for line in lines:
        words = line.split()
        if words[1:3] == ['setsockopt', 'CORK']:
            (corked.add if words[3:] == ['1'] else corked.discard)(words[0])
        elif words[1:2] and words[1].startswith(('send', 'write')):
            if 'MORE' in line:
                more.add(words[0])
            else:
                more.discard(words[0])
        elif words[:1] and more | corked:
            if words[0] not in more | corked:
                return True
    return bool(corked | more)


NODELAY = {'a setsockopt NODELAY 1', 'b setsockopt NODELAY 1'}


class Shrinker:
    def __init__(self, world, mode, family, seconds=45):
        self.mode, self.family = mode, family
        self.until = time.monotonic() + seconds
        self.engines = Engines(world, settle=2500, patience=900)
        self.op = None
        self.last = None
        self.seen = set()

    def observe(self, lines):
        text = '\n'.join(lines) + '\n'
        both = self.engines.run([text], ('tcp', self.mode), self.family)
        return both['tcp'][0], both[self.mode][0]

    def differs(self, lines):
        """Does it differ, three times the same way?"""
        key = '\n'.join(lines)
        if time.monotonic() > self.until or key in self.seen:
            return False
        self.seen.add(key)
        if 'connect' not in {line.split()[0] for line in lines if line}:
            return False
        # Nagle's algorithm holds back as well.
        if held_back(lines) or not NODELAY.issubset(lines):
            return False
        first = None
        for _ in range(3):
            tcp, other = self.observe(lines)
            if tcp == other or 'NO SUCH' in tcp or 'HANGS' in tcp:
                return False
            if first is None:
                first = tcp
            elif tcp != first:
                return False
            step = first_difference(tcp, other)[0].partition(' -> ')[0]
            op = ' '.join(step.split()[1:2])
            if self.op is None:
                self.op = op
            elif op != self.op:
                return False
        self.last = (tcp, other)
        return True

    def cut(self, lines):
        """What comes after the difference matters to nobody."""
        tcp, other = self.observe(lines)
        for n, (x, y) in enumerate(zip(tcp.splitlines(), other.splitlines())):
            if x != y:
                shorter = lines[:n + 1]
                return shorter if self.differs(shorter) else lines
        return lines

    def without_lines(self, lines):
        size = max(1, len(lines) // 2)
        while True:
            at = len(lines) - size
            removed = False
            while at >= 0:
                shorter = lines[:at] + lines[at + size:]
                if self.differs(shorter):
                    lines, removed = shorter, True
                at -= size
            if size == 1 and not removed:
                return lines
            if not removed or size > 1:
                size = max(1, size // 2)

    def simpler(self, line):
        """Simpler variants of one line, simplest first."""
        words = line.split()
        if words[0] == 'connect' and len(words) > 1:
            yield 'connect'
        if len(words) > 1 and words[1] in ('join', 'join2', 'pause'):
            return
        for i, word in enumerate(words[1:], 1):
            if re.fullmatch(r'\d+', word):
                for n in (1, 2, 10, 100, 1000):
                    if n < int(word):
                        yield ' '.join(words[:i] + [str(n)] + words[i + 1:])
            elif i > 1 and word.upper() == word and words[1] not in (
                    'poll', 'ppoll', 'setsockopt', 'getsockopt', 'signal',
                    'sigaction', 'ioctl', 'shutdown', 'epoll_add',
                    'epoll_mod'):
                yield ' '.join(words[:i] + words[i + 1:])
                names = word.split('|')
                if len(names) > 1:
                    for name in names:
                        rest = '|'.join(x for x in names if x != name)
                        yield ' '.join(words[:i] + [rest] + words[i + 1:])
        if len(words) > 1 and words[1] in ('write', 'writev', 'sendmsg',
                                           'sendto', 'sendmmsg', 'sendfile',
                                           'splice_in'):
            yield f'{words[0]} send {words[2]}'
        if len(words) > 1 and words[1] in ('readv', 'recvfrom', 'recvmsg',
                                           'recv_chk'):
            yield ' '.join([words[0], 'recv'] + words[2:])

    def simplify(self, lines):
        for i in range(len(lines) - 1, -1, -1):
            again = True
            while again:
                again = False
                for variant in self.simpler(lines[i]):
                    candidate = lines[:i] + [variant] + lines[i + 1:]
                    if self.differs(candidate):
                        lines, again = candidate, True
                        break
        return lines

    def shrink(self, script):
        """The shortest script found, and its two observations; None if it
        does not differ."""
        lines = script.strip().splitlines()
        try:
            if not self.differs(lines):
                return None
            quick = [re.sub(r' (join2?)$', r' \1 300', x) for x in lines]
            if self.differs(quick):
                lines = quick
            lines = self.cut(lines)
            lines = self.without_lines(lines)
            lines = self.simplify(lines)
            lines = self.without_lines(lines)
            return '\n'.join(lines) + '\n', self.last[0], self.last[1]
        finally:
            self.engines.end()
