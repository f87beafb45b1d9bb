"""A name server that changes its mind, and the TCP servers its names lead to: at 8080, and with HTTP at 8081.

Its argument is JSON: for each name the answers to the first question of each kind, to the second and so on; the last
stays. An answer is a list of addresses, and of names, which become a CNAME. It prints `asked NAME TYPE` and, for each
connection, `came to ADDRESS`; that connection gets the same line.
"""

import ipaddress
import json
import socket
import struct
import sys
import threading
from collections import Counter

NAMES = json.loads(sys.argv[1])
TYPES = {1: "A", 28: "AAAA"}
asked = Counter()


def encoded(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def record(name, kind, data):
    """With a time to live of 0."""
    return encoded(name) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def records(name, kind):
    """The records that answer a question, through all CNAMEs."""
    answers = NAMES.get(name, [])
    turn = min(asked[name, kind], len(answers) - 1)
    asked[name, kind] += 1
    found = []
    for entry in answers[turn] if answers else []:
        try:
            address = ipaddress.ip_address(entry)
        except ValueError:
            found += [record(name, 5, encoded(entry)), *records(entry, kind)]
            continue
        if address.version == (4 if kind == 1 else 6):
            found.append(record(name, kind, address.packed))
    return found


def answer_questions(server):
    while True:
        query, peer = server.recvfrom(512)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, kind = ".".join(labels), struct.unpack("!H", query[at + 1 : at + 3])[0]
        print("asked", name, TYPES.get(kind, kind), flush=True)
        found = records(name, kind)
        # That there is no such name is an answer as well.
        code = 0 if name in NAMES else 3
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        server.sendto(head + query[12 : at + 5] + b"".join(found), peer)


def serve(port, head):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=answer_clients, args=[listener, head]).start()


def answer_clients(listener, head):
    while True:
        client, _ = listener.accept()
        line = f"came to {client.getsockname()[0].removeprefix('::ffff:')}\n"
        print(line, end="", flush=True)
        if head:
            # A client of HTTP takes an answer only when it has asked.
            client.recv(4096)
        client.sendall((head + line).encode())
        client.shutdown(socket.SHUT_WR)
        # A client that breaks off is as good as one that has read.
        try:
            client.recv(4096)
        except ConnectionError:
            pass
        client.close()


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
threading.Thread(target=answer_questions, args=[names]).start()
serve(8080, "")
serve(8081, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
print("ready", flush=True)
