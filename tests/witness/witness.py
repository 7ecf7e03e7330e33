# SPDX-License-Identifier: Apache-2.0
"""A node's end of the witness protocol, written from docs/protocol-witness.md and nothing else."""

import os
import socket
import struct
from hashlib import blake2b

SIZE, TAG = 256, 32
HELLO, CHALLENGE, REQUEST, ANSWER, NO_SESSION, STRANGER = range(1, 7)
READ, GRANT, RELEASE, SWAP = range(1, 5)
DONE, REFUSED, LEARNING, FAILED = range(1, 5)
PRIMARY, SECONDARY = 0, 1


def mac(key, data):
    return blake2b(data, key=key, digest_size=32).digest()


def enrolment(pairing, key):
    body = struct.pack("<Q", pairing) + key
    return "cbw1-" + (body + blake2b(body, digest_size=32).digest()[:4]).hex()


def register(epoch=0, high=0, low=0, kind=0, holder=0):
    return struct.pack("<QQQBB6x", epoch, high, low, kind, holder)


NOTHING = register(kind=1)  # before the first swap


class Node:
    """Asks again until it is answered, and knows when it is not."""

    def __init__(self, address, pairing, key, node, patience=0.2, tries=10):
        self.address, self.pairing, self.node, self.tries = address, pairing, node, tries
        self.request_key, self.answer_key = (mac(key, b"crossbeat witness node 1" + bytes([node, d])) for d in (1, 2))
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(patience)
        self.session = None

    def head(self, kind, operation, theirs, number, holds=0):
        return struct.pack("<4sBBBBQ16s16sQBB6x", b"CBTW", 1, kind, self.node, operation, self.pairing, self.ours, theirs, number, 0, holds)

    def exchange(self, datagram, fits):
        """Sends until something comes that fits(); None when nothing does."""
        for _ in range(self.tries):
            try:
                self.socket.sendto(datagram, self.address)
                while True:
                    answer, sender = self.socket.recvfrom(2048)
                    if len(answer) == SIZE and fits(answer):
                        return answer
            except OSError:
                pass  # no answer, or a port that nobody listens on
        return None

    def begin(self):
        self.ours = os.urandom(16)
        hello = self.head(HELLO, 0, bytes(16), 0).ljust(SIZE - TAG, b"\0")
        fits = lambda a: a[5] == CHALLENGE and a[16:32] == self.ours and a[-TAG:] == mac(self.answer_key, a[:-TAG])
        answer = self.exchange(hello + mac(self.request_key, hello), fits)
        if answer is None:
            return False
        nonces = b"crossbeat witness session 1" + self.ours + answer[32:48]
        self.session = (answer[32:48], mac(self.request_key, nonces), mac(self.answer_key, nonces))
        self.number = 0
        return True

    def ask(self, operation, term=0, holds=0, known=NOTHING, expected=NOTHING, wanted=NOTHING):
        """(result, holder, term, counter, register), or None: not known."""
        for _ in range(3):
            if self.session is None and not self.begin():
                return None
            theirs, request_key, answer_key = self.session
            self.number += 1
            number = struct.pack("<Q", self.number)
            body = self.head(REQUEST, operation, theirs, self.number, holds) + struct.pack("<Q", term) + known + expected + wanted
            body = body.ljust(SIZE - TAG, b"\0")

            def fits(a):
                if a[16:32] != self.ours or a[48:56] != number:
                    return False
                key = {ANSWER: answer_key, NO_SESSION: self.answer_key}.get(a[5])
                return key is not None and a[-TAG:] == mac(key, a[:-TAG])

            answer = self.exchange(body + mac(request_key, body), fits)
            if answer is None:
                return None
            if answer[5] == ANSWER:
                counter, highest, holder = struct.unpack_from("<QQB", answer, 64)
                return answer[56], holder, highest, counter, answer[88:120]
            self.session = None
        return None
