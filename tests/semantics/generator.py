# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Random scripts of socket operations whose outcome on TCP is determined.

A script is made step by step beside a model of the connection: what is unread
in each direction, what is shut, which operation blocks in which thread. The
model decides which steps may come next: none that could wait for ever in a
peer's main thread, none whose result depends on which of two threads is first,
no read that depends on when a held-back byte leaves. It need not know results;
plain TCP says what those are. Where the model is not sure how many bytes are
unread, it keeps a lower and an upper bound (Flow.lo, Flow.hi).
"""

import random

UNREAD_MAX = 24 * 1024  # in one direction, but for `fill`
BURST = 8  # segments without a pause: fewer than the initial window
QUIET = 50  # ms until every delayed acknowledgement was sent
LONG = 5000  # ms: a time-out that never passes
SIZES = (0, 1, 1, 2, 3, 5, 10, 10, 64, 100, 100, 255, 256, 300, 1000, 1448,
         2000, 4095, 4096, 4097, 5000, 8192, 10000)


# Not generated unless asked for (+WORD): what README says can be seen.
#   zerocopy       SO_ZEROCOPY is refused
#   cork, nagle    held-back bytes arrive at once
#   late           an option that only TCP honours, with bytes unread
#   urgent_unread  urgent data behind unread bytes
#   killed_unread  a killed process cannot reset
#   stopped_timed  a stop does not end a read with SO_RCVTIMEO
#   uring_send, uring_recv  rings see no guards
#   siocoutq       redirected bytes need no acknowledgement
#   zerocopy_receive  nothing is mapped, all is to be read
#   held_unread    nor can one that was only handed its socket
#   async_waitall, async_full  SIGIO during a read that goes on, and
#                  for a sender whose buffer is full
#   part_of_full   when exactly a full sender may go on
#   edge_out       edges of "writable": each is tied to an acknowledgement
#   nothing        reads of no bytes: what wakes them, and what they tell
#   urgent_ended   FIONREAD across an urgent mark, when both ends have ended
#   lowat_blocked  when a blocked read with SO_RCVLOWAT is woken early (by a
#                  signal, a stop, the acknowledgement of its own FIN), and
#                  goes on with what it has; the cases have those that are not
#   small, pieces  a pipe's slots are filled in other pieces
KNOWN = ('ZEROCOPY', 'CORK', 'NAGLE', 'LATE', 'URGENT_UNREAD', 'KILLED_UNREAD',
         'STOPPED_TIMED', 'URING_SEND', 'URING_RECV', 'SMALL', 'PIECES',
         'HELD_UNREAD', 'ASYNC_WAITALL', 'ASYNC_FULL', 'PART_OF_FULL', 'NOTHING', 'URGENT_ENDED',
         'LOWAT_BLOCKED', 'EDGE_OUT',
         'SIOCOUTQ', 'ZEROCOPY_RECEIVE')
CAN_FLAG = ('recv', 'recvfrom', 'recvmsg', 'recvmmsg', 'recv_null',
            'recv_chk', 'recvfrom_chk')


class Skip(Exception):
    """This step is not possible, or not wanted, now."""


class Flow:
    """What one peer has sent and the other has not read."""

    def __init__(self):
        self.lo = self.hi = 0
        self.fin = False  # nothing will follow
        self.urgent = False  # there was an OOB byte: counts are vague
        self.burst = 0  # segments since the last pause
        self.filled = False  # more than anybody knows

    def exact(self):
        return self.lo == self.hi and not self.urgent and not self.filled


class Op:
    """An operation in a thread of its own."""

    def __init__(self, kind, **about):
        self.kind = kind  # read, wait, send
        self.state = 'blocked'  # done, maybe
        self.got = 0
        self.want = self.need = 0
        self.peek = False
        self.messages = 0  # recvmmsg: how many are still to come
        self.events = frozenset()
        self.epoll = False
        self.__dict__.update(about)


class Epoll:
    def __init__(self, events, edge, oneshot):
        self.events = events
        self.et = edge
        self.oneshot = oneshot
        self.edge = True
        self.armed = True


class Peer:
    def __init__(self, name):
        self.name = name
        self.alive = True
        self.open = True  # the program has a descriptor of it
        self.stopped = False
        self.nonblock = False
        self.lowat = 1
        self.rcvtimeo = 0
        self.sndtimeo = 0
        self.peek_off = False
        self.linger0 = False
        self.rd_shut = self.wr_shut = False
        self.reset = False  # nothing blocks any more
        self.murky = False  # nobody knows whether something blocks
        # What the interpreter begins with.
        self.handlers = dict.fromkeys(
            ('USR1', 'USR2', 'ALRM', 'IO', 'URG', 'PIPE'), 'restart')
        self.owner = False
        self.ops = {}
        self.epoll = None
        self.numbers = {'first'}  # descriptors of it: first, copy
        self.number = 'first'  # the one that operations use
        self.holder = None  # fork, exec, pass: another process's descriptor
        self.passed = False
        self.zerocopy = False
        self.gone = False  # no reference to the socket is left

    def reading(self):
        return [o for o in self.ops.values() if o.kind == 'read']

    def usable(self):
        return self.alive and self.open and not self.stopped


def flags_text(flags):
    return '|'.join(flags)


class Generator:
    """One script. Same seed and exclusions, same script."""

    def __init__(self, seed, without=()):
        self.rng = random.Random(seed)
        self.without = {w.upper() for w in without} | set(KNOWN)
        self.without -= {w[1:].upper() for w in without if w[0] == '+'}
        self.lines = []
        self.a, self.b = Peer('a'), Peer('b')
        self.flows = {'a': Flow(), 'b': Flow()}  # by sender
        self.ending = False
        self.nagle = self.rng.random() < 0.03 and \
            'NAGLE' not in self.without
        self.steps = [(w * self.rng.choice((0, 0.3, 1, 1, 1, 3)), name)
                      for name, w in WEIGHTS]
        self.steps.append((3, 'send_plain'))
        self.steps.append((3, 'read_any'))

    # -- helpers --------------------------------------------------------

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, *values):
        return self.rng.choice(values)

    def other(self, p):
        return self.b if p is self.a else self.a

    def out(self, p):
        return self.flows[p.name]

    def into(self, p):
        return self.flows[self.other(p).name]

    def unless(self, word, condition):
        """This step is one of what is left out, if @condition."""
        self.need(not condition or word not in self.without)

    def emit(self, line):
        for word in line.replace('|', ' ').replace(',', ' ').split():
            if word.upper() in self.without:
                raise Skip
        self.lines.append(line)

    def optional(self, line):
        try:
            self.emit(line)
        except Skip:
            return False
        return True

    def do(self, p, text):
        self.emit(f'{p.name} {text}')

    def need(self, *conditions):
        if not all(conditions):
            raise Skip

    def quiet(self, ms=QUIET):
        self.emit(f'pause {ms}')
        if ms < QUIET:
            return
        for flow in self.flows.values():
            flow.burst = 0

    # -- the model ------------------------------------------------------

    def readable(self, p, need=1):
        """Would a read of this many bytes return? None: nobody knows."""
        flow = self.into(p)
        if p.murky:
            return None
        if p.reset or p.rd_shut or flow.fin or flow.lo >= need:
            return True
        return None if flow.hi >= need or flow.urgent else False

    def ready(self, p, events):
        """Does one of these poll events hold? None: nobody knows."""
        flow = self.into(p)
        if p.murky or flow.urgent:
            return None
        if p.reset:
            return True
        if p.wr_shut and flow.fin:
            return True  # HUP
        if 'IN' in events:
            r = self.readable(p, p.lowat)
            if r is not False:
                return r
        if 'RDHUP' in events and (flow.fin or p.rd_shut):
            return True
        if 'OUT' in events:
            return None if self.out(p).filled else True
        return False

    def epoll_ready(self, p):
        e = p.epoll
        if not e.armed or (e.et and not e.edge):
            return False
        return self.ready(p, e.events)

    def take(self, flow, n):
        flow.hi = max(0, flow.hi - n) if not flow.urgent else flow.hi
        flow.lo = max(0, flow.lo - n)
        if flow.filled:
            flow.hi = UNREAD_MAX * 100

    def edge(self, p):
        if p.epoll:
            p.epoll.edge = True

    def progress(self, p, event=True, woken=False):
        """Something has happened at p's socket."""
        if event:
            self.edge(p)
        if p.stopped or not p.alive:
            return
        flow = self.into(p)
        ended = p.reset or p.rd_shut or flow.fin
        for op in p.ops.values():
            if op.state != 'blocked':
                continue
            if p.murky:
                op.state = 'maybe'
            elif op.kind == 'read':
                if flow.urgent:
                    op.state = 'maybe'
                elif flow.lo < p.lowat and not ended and not woken:
                    pass  # TCP wakes nobody for that
                elif op.peek:
                    op.got = min(flow.lo, op.want)
                    if op.got >= op.need or ended:
                        op.state = 'done'
                elif op.messages:
                    while flow.lo and op.messages:
                        self.take(flow, op.want)
                        op.messages -= 1
                        op.got += 1
                    if not op.messages or ended:
                        op.state = 'done'
                else:
                    n = min(op.want - op.got, flow.lo)
                    self.take(flow, n)
                    op.got += n
                    if op.got >= op.need or ended:
                        op.state = 'done'
            elif op.kind == 'wait':
                r = (self.epoll_ready(p) if op.epoll
                     else self.ready(p, op.events))
                if r is not False:
                    op.state = 'done' if r else 'maybe'
                if r and op.epoll:
                    self.epoll_delivered(p)
            elif op.kind == 'send':
                if p.reset or p.wr_shut:
                    op.state = 'done'

    def epoll_delivered(self, p):
        e = p.epoll
        e.edge = False
        if e.oneshot:
            e.armed = False

    def sent(self, p, n, segments=1):
        """p has sent n bytes, and they have arrived."""
        q, flow = self.other(p), self.out(p)
        if p.wr_shut or p.reset or n == 0:
            return
        if q.gone or (q.rd_shut and q.wr_shut):
            p.reset = q.reset = True
            self.progress(p)
            self.progress(q)
            return
        flow.hi += n
        if not flow.urgent:
            flow.lo += n
        flow.burst += segments
        self.progress(q)

    def interrupted(self, p, op, handler):
        """A handler has run in the thread of this blocked operation."""
        if getattr(op, 'uring', False):
            return
        if op.kind == 'wait':
            op.state = 'done'
        elif op.kind == 'read':
            self.progress(p, event=False, woken=True)
            if op.messages and op.got:
                p.murky = True
            if op.got or p.rcvtimeo or handler != 'restart':
                op.state = 'done'
        elif handler != 'restart' or p.sndtimeo:
            op.state = 'done'

    def finish(self):
        """Joins what has ended."""
        for p in (self.a, self.b):
            if p.stopped or not p.alive:
                continue
            for thread, op in sorted(p.ops.items()):
                if op.state == 'blocked':
                    continue
                ms = '' if op.state == 'done' else ' 60'
                self.lines.append(f'{p.name} join{thread}{ms}')
                del p.ops[thread]
                if op.state == 'maybe':
                    self.ending = True

    def before_look(self, p):
        """p looks at what has arrived: let it have arrived."""
        if self.into(p).burst >= BURST or self.out(p).burst >= BURST:
            self.quiet()

    # -- sending --------------------------------------------------------

    def size(self, limit, p=None):
        for op in self.other(p).reading() if p else ():
            rest = op.need - op.got
            if rest > 0 and self.chance(0.6):
                n = max(1, self.pick(1, rest // 2, rest - 1, rest, rest + 1))
                self.need(n <= limit)
                return n
        n = (self.rng.choice(SIZES) if self.chance(0.8)
             else self.rng.randrange(1, 12000))
        self.need(n <= limit)
        return n

    def may_send(self, p, one_segment=True):
        """For a send with more than one segment nobody may be waiting who
        could see the first alone."""
        q, flow = self.other(p), self.out(p)
        self.need(p.usable(), not flow.filled)
        if p.wr_shut or p.reset or q.gone:
            self.need(self.chance(0.15))
        if flow.burst >= BURST:
            self.quiet()
        if not one_segment and not q.stopped:
            for op in q.ops.values():
                self.need(op.kind == 'read', op.need == op.want,
                          not op.messages, not op.peek)
        return UNREAD_MAX - flow.hi

    def send_plain(self, p):
        limit = self.may_send(p)
        n = self.size(limit, p)
        op = self.pick('send', 'send', 'write', 'writev', 'sendmsg', 'sendto',
                       'uring_send' if self.chance(0.1) else 'send')
        flags = ''
        if op in ('send', 'sendmsg', 'sendto') and self.chance(0.3):
            flags = ' ' + self.pick('NOSIGNAL', 'DONTWAIT', 'EOR')
        if op == 'uring_send':
            # In a thread: a ring's end interrupts its thread, some time.
            self.need(not p.ops)
            self.do(p, f'start {op} {n}')
            self.do(p, 'join')
        else:
            self.do(p, f'{op} {n}{flags}')
        self.sent(p, n)
        if self.nagle:
            self.quiet()

    def send_several(self, p):
        limit = self.may_send(p, one_segment=False)
        op = self.pick('sendmmsg', 'sendmmsg', 'sendfile', 'splice_in')
        if op == 'sendmmsg':
            m = self.rng.randrange(1, 5)
            n = self.size(limit // m)
            self.do(p, f'sendmmsg {n} {m}')
            self.sent(p, n * m, m)
        else:
            n = max(1, self.size(limit))
            self.do(p, f'{op} {n}' +
                    (' nonblock' if op == 'splice_in' and self.chance(0.3)
                     else ''))
            self.sent(p, n, 2)

    def send_held(self, p):
        """MSG_MORE or TCP_CORK, and what makes the bytes leave."""
        limit = self.may_send(p, one_segment=False)
        q = self.other(p)
        self.need(not p.wr_shut, not p.reset, not p.murky, not q.gone)
        self.need(not q.ops)
        sizes = [self.size(limit // 4) for _ in range(self.pick(2, 2, 3))]
        sizes[-1] = max(1, sizes[-1])
        begin = len(self.lines)
        try:
            if self.chance(0.5):
                for n in sizes[:-1]:
                    self.do(p, f'send {n} MORE')
                self.do(p, f'send {sizes[-1]}')
            else:
                self.do(p, 'setsockopt CORK 1')
                for n in sizes:
                    self.do(p, f'{self.pick("send", "write")} {n}')
                self.do(p, 'setsockopt CORK 0')
        except Skip:
            del self.lines[begin:]  # not half of it
            raise
        self.sent(p, sum(sizes), 2)

    def send_oob(self, p):
        limit = self.may_send(p)
        q = self.other(p)
        self.need(not q.ops or all('PRI' in o.events for o in q.ops.values()))
        n = self.pick(1, 1, 2, 5, 100)
        self.need(n <= limit)
        self.unless('URGENT_UNREAD', self.out(p).hi or self.out(p).urgent)
        self.do(p, f'send_oob {n}')
        if p.wr_shut or p.reset or q.gone:
            self.sent(p, n)
            return
        flow = self.out(p)
        flow.urgent = True
        flow.lo = 0
        flow.hi += n
        flow.burst += 1
        self.edge(q)
        if not q.stopped:
            for op in q.ops.values():
                op.state = 'done'

    def send_zerocopy(self, p):
        limit = self.may_send(p)
        q = self.other(p)
        self.need(not q.ops, not p.ops)
        if not p.zerocopy:
            self.do(p, 'setsockopt ZEROCOPY 1')
            p.zerocopy = True
        n = self.size(limit)
        self.do(p, f'send {n} ZEROCOPY')
        self.sent(p, n)
        self.quiet()
        if self.chance(0.6):
            self.do(p, 'recvmsg 100 ERRQUEUE')
        if self.chance(0.3):
            self.do(p, 'poll IN|OUT 0')

    def fill_some(self, p):
        self.unless('ASYNC_FULL', p.owner)
        limit = self.may_send(p, one_segment=False)
        if self.chance(0.5):
            n = self.rng.randrange(1, 12) * 1024
            self.need(n <= limit)
            self.do(p, f'fill {n}')
        else:
            n = self.pick(3, 20, 100, 255, 256, 257, 300, 400)
            self.need(n <= limit)
            self.unless('PIECES', any('splice_out' in line
                                      for line in self.lines))
            self.do(p, f'fill1 {n}')
        self.sent(p, n, BURST)
        self.quiet()

    def fill_all(self, p):
        self.unless('ASYNC_FULL', p.owner)
        """Until nothing fits; then p's direction is as good as used up."""
        q = self.other(p)
        self.may_send(p, one_segment=False)
        self.need(not p.wr_shut, not p.reset, not p.murky, not q.murky,
                  not q.gone, not q.rd_shut, not q.stopped, not q.ops,
                  not p.ops, not self.out(p).urgent)
        # Of a fixed size, else acknowledgements make more room.
        self.do(p, 'setsockopt SNDBUF 65536')
        self.do(p, 'fill')
        self.do(p, 'fill1 100000')  # what is left in the last segment
        self.quiet()
        flow = self.out(p)
        flow.filled = True
        flow.lo, flow.hi = 16000, UNREAD_MAX * 100
        self.edge(q)
        if self.chance(0.4):
            self.do(p, self.pick('poll OUT 0', 'poll OUT 10', 'select w 10'))
        if self.chance(0.4):
            self.do(q, self.pick('recv 1000', 'read 5000', 'recv 100 PEEK',
                                 'poll IN 0'))
            flow.lo = 8000
            return
        if self.chance(0.3) and not p.nonblock:
            self.do(p, 'setsockopt SNDTIMEO 40')
            p.sndtimeo = 40
            self.do(p, 'send 3000')
        if self.chance(0.7) and not p.nonblock and not p.sndtimeo:
            self.do(p, f'start {self.pick("send", "write")} 3000')
            self.do(p, 'join 30')
            p.ops[''] = Op('send')

    # -- reading --------------------------------------------------------

    def amount(self, flow):
        lo = flow.lo
        n = self.pick(lo, lo, lo, lo + 1, lo - 1, lo // 2, lo * 2, 1, 10, 100,
                      1000, 4096, 20000, self.rng.choice(SIZES))
        if n == 0:
            n = self.pick(0, 1, 50, 100)
        return max(0, n)

    def read_op(self, p):
        """A read: its text, and an Op that says when it would return."""
        flow = self.into(p)
        n = self.amount(flow)
        self.need(n > 0 or 'ZERO' not in self.without)
        op = self.pick('recv', 'recv', 'recv', 'recv', 'read', 'read', 'readv',
                       'recvfrom', 'recvmsg', 'recvmsg', 'recvmmsg',
                       'recv_chk', 'read_chk', 'recvfrom_chk', 'splice_out', 'recv_null',
                       'uring_recv' if self.chance(0.3) else 'recv')
        self.unless('PART_OF_FULL', flow.filled)
        self.unless('NOTHING', n == 0 and (
            not self.readable(p) or flow.urgent or p.reset or any(
                'INQ' in line or 'TIMESTAMP' in line for line in self.lines)))
        self.unless('PIECES', op == 'splice_out' and any(
            'fill1' in line or 'mmsg' in line for line in self.lines))
        about = Op('read', want=n, need=max(1, min(p.lowat, n)))
        flags = []
        text = f'{op} {n}'
        if op in CAN_FLAG[:4] or (op.startswith('recv') and
                                  op.endswith('chk') and self.chance(0.3)):
            flags = list(self.pick((), (), (), ('PEEK',), ('WAITALL',),
                                   ('TRUNC',), ('WAITALL',), ('PEEK',),
                                   ('PEEK', 'WAITALL'), ('PEEK', 'TRUNC'),
                                   ('WAITALL', 'TRUNC')))
        if op == 'recv_null':
            flags = ['TRUNC'] + (['PEEK'] if self.chance(0.2) else [])
            if self.chance(0.2):
                flags = ['DONTWAIT']  # EFAULT, if there is something
                about.want = 0
        if op in ('read', 'read_chk', 'readv') and n == 0:
            about.need = 0
        if op == 'splice_out':
            self.need(n > 0)
            about.need = 1
            if self.chance(0.3):
                text += ' small'
                flags_small = True
            else:
                flags_small = False
            about.small = flags_small
        if 'PEEK' in flags:
            about.peek = True
            if p.peek_off:
                about.vague = True
        if 'WAITALL' in flags:
            about.need = max(1, n)
        if op == 'recvmmsg':
            m = self.rng.randrange(1, 4)
            n = max(1, n // m)
            text = f'recvmmsg {n} {m}'
            about.want = n
            about.takes = n * m
            if 'WAITALL' in flags or self.chance(0.5):
                flags.append('WAITFORONE')
            elif 'PEEK' not in flags:
                about.messages = m
        return op, text, flags, about

    def read_any(self, p):
        self.need(p.usable())
        self.before_look(p)
        flow = self.into(p)
        op, text, flags, about = self.read_op(p)
        q = self.other(p)
        if p.reading() or any(o.kind == 'wait' for o in p.ops.values()):
            # Somebody waits already: a second reader must find nothing.
            self.need(flow.hi == 0, not flow.urgent, 'small' not in text)
            flags.append('DONTWAIT')
        if about.messages:
            missing = about.want * (about.messages - 1) + 1
            returns = self.readable(p, missing)
            if flow.urgent:
                returns = None
            if 'WAITALL' in flags:
                returns = self.readable(p, about.want * about.messages)
        else:
            returns = self.readable(p, about.need)
        if about.need == 0:
            returns = True
        if getattr(about, 'vague', False):
            returns = None
        can_flag = op in CAN_FLAG
        if 'DONTWAIT' in flags and not can_flag:
            self.need(p.nonblock)
            flags.remove('DONTWAIT')
        immediate = p.nonblock or 'DONTWAIT' in flags
        # Once the first has come the next is there in time, or it is not.
        self.need('WAITFORONE' not in flags or immediate or returns is True or
                  about.takes == about.want)
        if not immediate and can_flag and self.chance(0.25):
            flags.append('DONTWAIT')
            immediate = True
        if getattr(about, 'small', False) and not immediate:
            self.need(returns is True)
        in_thread = False
        if not immediate and returns is not True:
            if p.rcvtimeo and p.rcvtimeo < LONG and self.chance(0.5):
                pass  # it passes
            elif returns is False and not self.ending and not p.ops:
                in_thread = True
            elif can_flag:
                flags.append('DONTWAIT')
                immediate = True
            else:
                raise Skip
        if op == 'splice_out' and self.chance(0.2):
            text += ' nonblock'  # of the pipe, as TCP sees it
        if op == 'uring_recv':
            self.need(not immediate or returns is True, p.lowat == 1,
                      returns is True or not p.rcvtimeo)
            about.uring = True
        if flags:
            text += ' ' + flags_text(flags)
        if in_thread:
            self.block(p, text, about)
            return
        alone = op == 'uring_recv'  # see send_plain
        self.need(not alone or not p.ops)
        if alone or (not immediate and returns is True and
                     self.chance(0.1) and not p.ops):
            self.do(p, f'start {text}')
            self.do(p, 'join')
        else:
            self.do(p, text)
        self.consumed(p, about)
        if q.gone and flow.hi == 0:
            self.edge(p)

    def consumed(self, p, about):
        if about.peek:
            return
        flow = self.into(p)
        n = getattr(about, 'takes', about.want)
        if getattr(about, 'small', False) or p.murky:
            flow.lo = 0  # what fits; and who knows
            return
        self.take(flow, n)

    def block(self, p, text, about, thread=''):
        """Starts an operation of which we know that it waits."""
        flow = self.into(p)
        self.need(thread not in p.ops, not p.murky, not flow.urgent)
        if about.kind == 'read':
            self.need(flow.exact())
            self.unless('LOWAT_BLOCKED', p.lowat > 1)
            self.unless('ASYNC_WAITALL', p.owner)
            # How much came with the first byte is a matter of time.
            self.need('recvm' not in text or
                      not any('INQ 1' in line for line in self.lines))
        self.do(p, f'start{thread} {text}')
        p.ops[thread] = about
        if about.kind == 'read' and p.rcvtimeo and p.rcvtimeo < LONG:
            self.timed_read(p, about, thread)
            return
        self.progress(p, event=False, woken=True)
        if about.state == 'blocked' and self.chance(0.3):
            self.do(p, f'join{thread} {self.pick(10, 20)}')

    def timed_read(self, p, about, thread):
        """A read with SO_RCVTIMEO: little else happens until it is over."""
        q = self.other(p)
        n = about.want - 1 if about.need > 1 else about.want
        if self.chance(0.5) and q.usable() and not q.wr_shut and \
                not q.reset and not self.out(q).filled:
            n = max(1, min(n, self.pick(1, 10, 100)))
            self.do(q, f'send {n}')
            self.sent(q, n)
        self.progress(p)
        self.lines.append(f'{p.name} join{thread}')
        if thread in p.ops:
            del p.ops[thread]

    def gets(self, p):
        """stdio reads ahead; nobody knows what is left then."""
        self.need(p.usable(), not p.ops)
        self.before_look(p)
        flow = self.into(p)
        n = self.pick(1, 10, 16, 100)
        self.need(p.nonblock or (self.readable(p, max(n, p.lowat)) is True))
        self.do(p, f'stdio_gets {n}')
        flow.lo = 0
        self.ending = self.chance(0.5)

    def read_all(self, p):
        self.need(p.usable(), not self.into(p).filled)
        self.need(not p.reading(), not p.ops)
        self.before_look(p)
        self.do(p, f'read_all {self.pick(5, 10, 20)}')
        flow = self.into(p)
        flow.lo = 0
        if not flow.urgent:
            flow.hi = 0

    # -- waiting --------------------------------------------------------

    def wait_any(self, p):
        self.need(p.usable())
        self.before_look(p)
        op = self.pick('poll', 'poll', 'ppoll', 'select', 'pselect')
        if op.endswith('select'):
            sets = self.pick('r', 'w', 'rw', 'rwe', 'e', 're')
            events = set()
            if 'r' in sets:
                events.add('IN')
            if 'w' in sets:
                events.add('OUT')
            words = sets
        else:
            events = set(self.pick(('IN',), ('IN',), ('IN', 'OUT'), ('OUT',),
                                   ('IN', 'RDHUP'), ('RDHUP',), ('PRI',),
                                   ('IN', 'PRI', 'RDHUP')))
            words = '|'.join(e for e in ('IN', 'PRI', 'OUT', 'RDHUP')
                             if e in events)
        ready = self.ready(p, events)
        if op.endswith('select') and 'r' not in sets and ready is not None:
            # An error is no exception, and the end of both ways no error.
            ready = 'w' in sets and not p.reset and not p.murky or None
        if self.out(p).filled and 'OUT' in events:
            self.need(self.other(p).gone or ready is None)
        if ready is True:
            self.do(p, f'{op} {words} {self.pick(0, 0, 20, 500)}')
        elif ready is False and not p.reading() and not self.ending and \
                self.chance(0.4):
            thread = '2' if '' in p.ops else ''
            if self.chance(0.2):
                self.do(p, f'start{thread} {op} {words} 20')
                self.do(p, f'join{thread}')
            else:
                self.block(p, f'{op} {words} {LONG}',
                           Op('wait', events=frozenset(events)), thread)
        else:
            self.do(p, f'{op} {words} {self.pick(0, 0, 5, 20)}')

    def epoll_any(self, p):
        self.need(p.usable())
        waiting = any(o.epoll for o in p.ops.values())
        self.need(not waiting)
        self.before_look(p)
        e = p.epoll
        what = self.pick('set', 'wait', 'wait', 'wait', 'start', 'del')
        if e is None or (what == 'set') or (e and not e.armed and
                                            self.chance(0.5)):
            events = set(self.pick(('IN',), ('IN',), ('IN', 'OUT'),
                                   ('IN', 'RDHUP'), ('OUT',), ('RDHUP',)))
            edge, oneshot = self.chance(0.5), self.chance(0.3)
            exclusive = e is None and not oneshot and self.chance(0.1) and \
                'RDHUP' not in events
            words = '|'.join(x for x in ('IN', 'OUT', 'RDHUP') if x in events)
            words += ',ET' if edge else ''
            words += ',ONESHOT' if oneshot else ''
            words += ',EXCLUSIVE' if exclusive else ''
            if e and getattr(e, 'exclusive', False):
                raise Skip
            self.unless('EDGE_OUT', edge and 'OUT' in events)
            if p.wr_shut:
                self.quiet()  # the acknowledgement of a FIN is an edge
            self.do(p, f'epoll_{"mod" if e else "add"} {words}')
            p.epoll = Epoll(events, edge, oneshot)
            p.epoll.exclusive = exclusive
            return
        if what == 'del':
            self.need(self.chance(0.3))
            self.do(p, 'epoll_del')
            p.epoll = None
            return
        ready = self.epoll_ready(p)
        if what == 'start' and ready is False and not p.reading() and \
                not self.ending:
            thread = '2' if '' in p.ops else ''
            self.block(p, f'epoll_wait {LONG}', Op('wait', epoll=True),
                       thread)
            return
        ms = self.pick(0, 0, 500) if ready else self.pick(0, 0, 5, 20)
        self.do(p, f'{self.pick("epoll_wait", "epoll_pwait")} {ms}' + (' 4' if self.chance(0.2) else ''))
        if ready is not False:
            self.epoll_delivered(p)
        elif e.et:
            e.edge = False

    # -- asking ---------------------------------------------------------

    def urgent_ended(self, p):
        flow = self.into(p)
        return 'URGENT_ENDED' in self.without and flow.urgent and \
            (p.wr_shut or flow.fin)

    def ask(self, p):
        self.need(p.usable())
        self.before_look(p)
        flow = self.into(p)
        what = self.pick('FIONREAD', 'FIONREAD', 'FIONREAD', 'SIOCATMARK',
                         'sockatmark', 'SIOCOUTQ', 'get', 'get')
        if what == 'FIONREAD':
            self.need(not flow.filled)
            self.need(not self.urgent_ended(p))
            self.do(p, 'ioctl FIONREAD')
        elif what == 'SIOCATMARK':
            self.do(p, 'ioctl SIOCATMARK')
        elif what == 'sockatmark':
            self.do(p, 'sockatmark')
        elif what == 'SIOCOUTQ':
            self.need(not self.out(p).filled, self.chance(0.5))
            self.quiet()
            self.do(p, 'ioctl SIOCOUTQ')
        else:
            name = self.pick('RCVLOWAT', 'SNDTIMEO', 'RCVTIMEO', 'ERROR',
                             'ERROR', 'PEEK_OFF', 'OOBINLINE', 'LINGER',
                             'NODELAY', 'KEEPALIVE', 'INQ', 'ULP',
                             'STATE', 'STATE')
            if name == 'STATE':
                self.quiet()  # until a FIN is acknowledged
            self.do(p, f'getsockopt {name}')

    # -- options --------------------------------------------------------

    def option(self, p, connected=True):
        self.need(p.usable())
        name = self.pick('RCVLOWAT', 'RCVLOWAT', 'RCVLOWAT', 'RCVTIMEO',
                         'RCVTIMEO', 'SNDTIMEO', 'PEEK_OFF', 'OOBINLINE',
                         'TIMESTAMP', 'TIMESTAMPNS', 'INQ', 'LINGER',
                         'NODELAY', 'KEEPALIVE', 'RCVBUF', 'SNDBUF',
                         'nonblock', 'nonblock')
        if p.ops:
            self.need(name in ('NODELAY', 'KEEPALIVE', 'LINGER', 'SNDTIMEO'),
                      not any(o.kind == 'send' for o in p.ops.values()))
        if name == 'nonblock':
            self.need(connected)
            p.nonblock = not p.nonblock
            self.do(p, f'nonblock {"on" if p.nonblock else "off"}')
            return
        value = {
            'RCVLOWAT': self.pick(1, 2, 10, 10, 100, 1000, 3000),
            'RCVTIMEO': self.pick(0, 30, 30, 80, LONG, LONG),
            'SNDTIMEO': self.pick(0, 30, LONG),
            'PEEK_OFF': self.pick(-1, 0, 0, 5, 50),
            'LINGER': self.pick(-1, 0, 0, 1),
            'NODELAY': 1,
            'RCVBUF': self.pick(65536, 131072, 262144),
            'SNDBUF': self.pick(65536, 262144),
        }.get(name, self.pick(0, 1, 1))
        if name.startswith('TIMESTAMP'):  # none for what is already there
            self.need(self.into(p).hi == 0)
        if name in ('RCVBUF', 'SNDBUF'):
            self.need(not connected or self.chance(0.3))
        if name == 'RCVBUF':
            self.unless('PART_OF_FULL', self.into(p).filled)
        if name in ('RCVLOWAT', 'PEEK_OFF', 'OOBINLINE', 'INQ') or \
                name.startswith('TIMESTAMP'):
            flow = self.into(p)
            self.unless('LATE', connected and (flow.hi or flow.fin or
                                               flow.urgent or p.reset or
                                               p.rd_shut))
        self.do(p, f'setsockopt {name} {value}')
        if name == 'RCVLOWAT':
            p.lowat = max(1, value)
        elif name == 'RCVTIMEO':
            p.rcvtimeo = value
        elif name == 'SNDTIMEO':
            p.sndtimeo = value
        elif name == 'PEEK_OFF':
            p.peek_off = value >= 0
        elif name == 'LINGER':
            p.linger0 = value == 0
        elif name.startswith('TIMESTAMP') and value:
            self.emit('pause 10')
        if connected:
            self.edge(p)

    # -- signals --------------------------------------------------------

    def handler(self, p, names=('USR1', 'USR2')):
        name = self.rng.choice(names)
        if self.chance(0.35):
            how = self.pick('restart', 'restart', 'norestart', 'norestart',
                            'ignore')
            self.do(p, f'sigaction {name} {how}')
            p.handlers[name] = how
        return name

    def signal(self, p):
        self.need(p.alive, not p.stopped)
        blocked = [o for t, o in p.ops.items() if t == '']
        if not blocked:
            self.need(self.chance(0.2))
        in_thread = blocked and self.chance(0.8)
        # Linux leaves the reason as an error for the next call then.
        self.need(not in_thread or not blocked[0].messages)
        name = self.handler(p)
        if any(line.startswith(f'{p.name} signal {name}')
               for line in self.lines[-2:]):
            self.quiet()  # two that are pending at once are one
        self.do(p, f'signal {name}{" thread" if in_thread else ""}')
        if in_thread and p.handlers[name] != 'ignore':
            self.interrupted(p, blocked[0], p.handlers[name])
            if blocked[0].state == 'blocked' and self.chance(0.5):
                self.do(p, 'join 15')
        if self.chance(0.3):
            self.do(p, 'signals')

    def signals(self, p):
        self.need(p.alive, not p.stopped, self.chance(0.5))
        self.do(p, 'signals')

    def alarm(self, p):
        """SIGALRM while the main thread waits."""
        self.need(p.usable(), not p.ops, not p.nonblock)
        self.before_look(p)
        flow = self.into(p)
        name = self.handler(p, ('ALRM',))
        how = p.handlers[name]
        events = self.readable(p, p.lowat)
        self.need(events is False, not flow.filled)
        timed = p.rcvtimeo and p.rcvtimeo < LONG
        op = self.pick('recv', 'recv', 'wait')
        if op == 'wait':
            self.need(how != 'ignore')
            self.do(p, 'alarm 100')
            self.do(p, self.pick('poll IN 2000', 'ppoll IN 2000',
                                 'select r 2000'))
        else:
            self.need(timed or how == 'norestart' or
                      (p.rcvtimeo and how == 'restart'))
            self.do(p, 'alarm 150')
            self.do(p, self.pick('recv 100', 'read 10', 'recvmsg 50',
                                 'recv 50 WAITALL', 'recv 10 PEEK',
                                 'readv 30'))
            if flow.hi:
                flow.lo = 0
            self.emit('pause 200')  # it may be over before the alarm
        self.quiet()
        if self.chance(0.5):
            self.do(p, 'signals')

    def stop(self, p):
        self.need(p.alive, not p.stopped, not self.other(p).stopped)
        if not p.ops:
            self.need(self.chance(0.5))
        self.need(not any(o.messages for o in p.ops.values()))
        # SIGIO, sent while all are stopped, goes to any thread.
        self.need(not p.owner or not p.ops)
        self.unless('STOPPED_TIMED', p.rcvtimeo and any(
            o.kind == 'read' for o in p.ops.values()))
        self.unless('LOWAT_BLOCKED', p.lowat > 1 and any(
            o.kind == 'read' for o in p.ops.values()))
        self.unless('STOPPED_TIMED', p.ops and any(
            f'{p.name} start' in line and 'recvmmsg' in line
            for line in self.lines))
        self.do(p, 'stop')
        # As for a signal without a handler; what ends, ends before it stops.
        for op in p.ops.values():
            if op.state != 'blocked' or getattr(op, 'uring', False):
                continue
            self.progress(p, event=False, woken=True)
            if op.epoll or (op.kind == 'read' and (op.got or p.rcvtimeo)) or \
                    (op.kind == 'send' and p.sndtimeo):
                op.state = 'done'
        p.stopped = True

    def cont(self, p):
        self.need(p.alive, p.stopped)
        self.quiet()
        self.do(p, 'cont')
        p.stopped = False
        self.progress(p, event=False, woken=True)

    def async_io(self, p):
        self.unless('ASYNC_FULL', not p.owner and self.out(p).filled)
        self.need(p.usable(), not p.ops)
        if not p.owner:
            self.do(p, 'own')
            if self.chance(0.7):
                self.do(p, 'async on')
            p.owner = True
        else:
            self.do(p, 'signals')

    # -- ends -----------------------------------------------------------

    def shutdown(self, p):
        self.need(p.usable(), self.chance(0.4))
        how = self.pick('WR', 'WR', 'WR', 'RD', 'RDWR')
        self.do(p, f'shutdown {how}')
        if p.epoll:
            self.quiet()  # the acknowledgement of a FIN is an edge
        if 'WR' in how:
            self.fin(p)
        if 'RD' in how[:2]:
            p.rd_shut = True
            self.progress(p)

    def fin(self, p):
        p.wr_shut = True
        self.out(p).fin = True
        self.progress(p)
        self.progress(self.other(p))

    def may_end(self, p):
        self.need('UNREAD' not in self.without or not self.into(p).hi)

    def last_reference(self, p):
        """The kernel closes p's socket."""
        q, flow = self.other(p), self.into(p)
        p.gone = True
        if (flow.hi and not flow.urgent and flow.lo == flow.hi) or p.linger0:
            q.reset = True
        elif flow.hi or flow.filled:
            q.reset = True
        self.out(p).fin = True
        self.progress(q)

    def close(self, p):
        self.need(p.usable(), not p.ops, self.chance(0.25))
        self.may_end(p)
        self.do(p, 'close')
        p.open = False
        p.numbers.discard(p.number)
        p.epoll = None
        if not p.holder and not p.numbers:
            self.last_reference(p)

    def kill(self, p):
        self.need(p.alive, self.chance(0.08))
        self.need(not p.holder)
        self.may_end(p)
        self.unless('KILLED_UNREAD', self.into(p).hi)
        self.do(p, 'kill')
        p.alive = p.open = False
        p.stopped = False
        p.ops = {}
        if not p.gone:
            self.last_reference(p)

    # -- descriptors ----------------------------------------------------

    def descriptors(self, p):
        self.need(p.alive, not p.stopped, not p.ops)
        what = self.pick('dup', 'dup', 'close_dup', 'use_dup', 'use_dup',
                         'waste_numbers')
        if not p.open and 'copy' in p.numbers:
            what = 'use_dup'
        if what == 'dup':
            self.need(p.open, p.numbers == {'first'})
            self.do(p, 'dup')
            p.numbers.add('copy')
        elif what == 'close_dup':
            self.need('copy' in p.numbers, p.number == 'first', p.open)
            self.do(p, 'close_dup')
            p.numbers.discard('copy')
        elif what == 'use_dup':
            self.need('copy' in p.numbers, p.number == 'first', not p.epoll)
            self.do(p, 'use_dup')
            p.number = 'copy'
            p.open = True
        else:
            self.need(p.open, p.numbers == {'first'}, not p.epoll,
                      self.chance(0.4))
            self.do(p, self.pick('waste_numbers', 'waste_numbers range'))

    def hold(self, p):
        """Another process keeps the socket."""
        self.need(p.alive, not p.stopped, not p.ops)
        q, flow = self.other(p), self.into(p)
        if not p.holder:
            self.need(p.open)
            how = self.pick('fork', 'exec', 'pass')
            self.need(how != 'pass' or not p.passed)
            self.do(p, 'pass' if how == 'pass' else f'{how}_hold')
            p.holder = how
            p.passed |= how == 'pass'
            return
        how = p.holder
        what = self.pick('read', 'read', 'send', 'release')
        if what == 'read':
            n = self.amount(flow)
            self.need(n > 0, self.readable(p, p.lowat) is True)
            self.unless('PART_OF_FULL', flow.filled)
            self.before_look(p)
            self.do(p, f'{how}_read {n}')
            self.take(flow, n)
        elif what == 'send':
            self.need(not q.ops, not self.out(p).filled)
            self.unless('HELD_UNREAD', p.reset or q.gone or q.rd_shut or
                        p.wr_shut)
            n = self.size(UNREAD_MAX - self.out(p).hi)
            self.do(p, f'{how}_send {n}')
            self.sent(p, n)
        else:
            if not p.open:
                self.may_end(p)
                self.unless('HELD_UNREAD', flow.hi or flow.urgent)
            self.do(p, 'pass_close' if how == 'pass' else f'{how}_release')
            p.holder = None
            if not p.numbers and not p.gone:
                self.last_reference(p)

    def reconnect(self, p):
        a, b = self.a, self.b
        for x in (a, b):
            self.need(x.usable(), not x.ops, not x.holder, not x.epoll,
                      x.numbers == {'first'}, not x.owner)
        self.need(not self.out(a).filled, not self.out(b).filled,
                  self.chance(0.5))
        self.emit('reconnect')
        self.flows = {'a': Flow(), 'b': Flow()}
        for x in (a, b):
            x.rd_shut = x.wr_shut = x.reset = x.murky = False
        for name, value in self.inherited.items():
            setattr(b, name, value)
        b.nonblock = False

    def zerocopy_receive(self, p):
        self.need(p.usable(), not p.ops, not self.into(p).filled)
        self.before_look(p)
        self.do(p, 'zerocopy_receive')
        self.into(p).lo = 0

    def pause(self, p):
        self.need(self.chance(0.3))
        self.quiet(self.pick(3, 10, QUIET))

    # -- the whole ------------------------------------------------------

    def setup(self):
        if not self.nagle:
            self.lines += ['a setsockopt NODELAY 1', 'b setsockopt NODELAY 1']
        for p in (self.a, self.b):
            while self.chance(0.25):
                try:
                    self.option(p, connected=False)
                except Skip:
                    pass
        self.inherited = {name: getattr(self.b, name) for name in (
            'lowat', 'rcvtimeo', 'sndtimeo', 'peek_off', 'linger0')}
        if self.chance(0.03):
            self.optional('b uring_accept')
        how = self.pick('', '', '', ' nonblock', ' late')
        if self.chance(0.02):
            how = ' fastopen_connect'
        if how in (' late', ' fastopen_connect'):
            n = self.pick(1, 10, 100, 1000, 5000)
            how += f' {n}'
            try:
                self.emit('connect' + how)
                self.out(self.a).lo = self.out(self.a).hi = n
                return
            except Skip:
                how = ''
        if not (how == ' nonblock' and self.optional('connect nonblock')):
            how = ''
            self.lines.append('connect')
        if how:
            self.a.nonblock = self.chance(0.7)
            self.lines.append(
                f'a nonblock {"on" if self.a.nonblock else "off"}')

    def settled(self):
        if any(line == 'b uring_accept' for line in self.lines):
            self.quiet()

    def last(self):
        """Everything that is left is read, and what blocks is ended."""
        for p in (self.a, self.b):
            if p.stopped and p.alive:
                p_ops = list(p.ops.items())
                self.lines.append(f'{p.name} cont')
                p.stopped = False
                for thread, _ in p_ops:
                    self.lines.append(f'{p.name} join{thread} 40')
                p.ops = {}
                self.ending = True
        if self.chance(0.5):
            for p in (self.a, self.b):
                if p.usable() and not self.out(p).filled and \
                        not self.ending and self.chance(0.6):
                    self.lines.append(f'{p.name} shutdown WR')
                    self.fin(p)
                    self.finish()
        for p in (self.a, self.b):
            for thread, op in sorted(p.ops.items()):
                if p.alive:
                    self.lines.append(f'{p.name} join{thread} 15')
        for p in (self.a, self.b):
            if not p.usable() or self.into(p).filled or p.ops or \
                    self.ending:
                continue
            self.before_look(p)
            if not self.urgent_ended(p):
                self.lines.append(f'{p.name} ioctl FIONREAD')
            self.lines.append(f'{p.name} read_all 10')
        for p in (self.a, self.b):
            if p.alive and self.chance(0.7):
                self.lines.append(f'{p.name} signals')

    def script(self):
        self.setup()
        self.settled()
        steps = len(self.lines) + self.rng.choice(
            (5, 8, 12, 12, 18, 18, 25, 32))
        tries = 0
        weights = [w for w, _ in self.steps]
        names = [n for _, n in self.steps]
        while len(self.lines) < steps and tries < 500 and not self.ending:
            tries += 1
            name = self.rng.choices(names, weights)[0]
            p = self.rng.choice((self.a, self.b))
            if p.stopped and self.chance(0.3):
                name = 'cont'
            elif p.ops and self.chance(0.4):
                # Something waits: let something happen to it.
                name = self.rng.choice(('send_plain', 'send_plain',
                                        'send_plain', 'shutdown', 'signal',
                                        'stop'))
                if name in ('send_plain',):
                    p = self.other(p)
            length = len(self.lines)
            try:
                getattr(self, name)(p)
            except Skip:
                if len(self.lines) > length and \
                        not all(line.startswith('pause') for line in
                                self.lines[length:]):
                    pass  # a step of several, cut short: still a script
            self.finish()
            if not (self.a.usable() or self.b.usable()):
                if not (self.a.stopped or self.b.stopped):
                    break
        self.finish()
        self.last()
        return '\n'.join(self.lines[:40 + 12]) + '\n'


WEIGHTS = (
    ('send_plain', 16), ('send_several', 4), ('send_held', 2),
    ('send_oob', 1.5), ('send_zerocopy', 0.5), ('fill_some', 0.7),
    ('fill_all', 0.3), ('read_any', 22), ('read_all', 2), ('wait_any', 7),
    ('epoll_any', 7), ('ask', 6), ('option', 5), ('signal', 4),
    ('signals', 1), ('alarm', 2), ('stop', 1), ('async_io', 1),
    ('shutdown', 2.5), ('close', 2.5), ('kill', 1.5), ('descriptors', 1), ('gets', 0.4),
    ('reconnect', 0.3), ('zerocopy_receive', 0.2),
    ('hold', 1), ('pause', 1),
)


def script(seed, without=()):
    return Generator(seed, without).script()
