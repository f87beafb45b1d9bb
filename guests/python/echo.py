"""TCP and UDP in Python, as server and as client: the same modes and output as `c/echo.c`.

    echo tcp-serve|udp-serve ADDRESS PORT COUNT
    echo tcp-dial|udp-dial|udp-send HOST PORT TEXT

An ordinary program: `python3 echo.py ...` does the same. What makes it a component is in `echo_app.py`.
"""

import socket
import sys


def show(address) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_at(host: str, port: str, kind: int, what: str) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, int(port), type=kind)[0]
    sock = socket.socket(family, kind)
    sock.bind(address)
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    print(f"{what} {show(sock.getsockname())}", flush=True)
    return sock


def tcp_serve(host: str, port: str, count: str) -> None:
    with open_at(host, port, socket.SOCK_STREAM, "listening on") as listener:
        for _ in range(int(count)):
            stream, peer = listener.accept()
            total = 0
            with stream:
                while data := stream.recv(4096):
                    stream.sendall(data)
                    total += len(data)
            print(f"{show(peer)} sent {total} bytes", flush=True)


def tcp_dial(host: str, port: str, text: str) -> None:
    with socket.create_connection((host, int(port))) as stream:
        stream.sendall(text.encode())
        stream.shutdown(socket.SHUT_WR)
        answer = b""
        while data := stream.recv(4096):
            answer += data
        print(answer.decode())


def udp_serve(host: str, port: str, count: str) -> None:
    with open_at(host, port, socket.SOCK_DGRAM, "bound to") as sock:
        for _ in range(int(count)):
            data, peer = sock.recvfrom(65536)
            print(f"{show(peer)} sent {len(data)} bytes", flush=True)
            sock.sendto(data, peer)


def udp_dial(host: str, port: str, text: str) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.send(text.encode())
        print(f"{show(sock.getpeername())} answered {sock.recv(65536).decode()}")


def udp_send(host: str, port: str, text: str) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), address)
        answer, peer = sock.recvfrom(65536)
        print(f"{show(peer)} answered {answer.decode()}")


MODES = {"tcp-serve": tcp_serve, "tcp-dial": tcp_dial, "udp-serve": udp_serve, "udp-dial": udp_dial, "udp-send": udp_send}


def main() -> None:
    if len(sys.argv) != 5 or sys.argv[1] not in MODES:
        sys.exit("usage: echo MODE HOST PORT COUNT|TEXT")
    try:
        MODES[sys.argv[1]](*sys.argv[2:])
    except OSError as error:
        sys.exit(f"echo: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
