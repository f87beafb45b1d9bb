"""Answers HTTP requests on the raw interface of `wasi:http` 0.2: the path that was asked for, and the body of POST."""

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

CHUNK_BYTES = 4096


class IncomingHandler(exports.IncomingHandler):
    """What the world asks for."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        path = request.path_with_query() or "/"
        body = read(request) if isinstance(request.method(), Method_Post) else b""
        response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
        outgoing = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        write(outgoing, f"{path}\n".encode() + body)


def read(request: IncomingRequest) -> bytes:
    """The whole body."""
    whole = b""
    with request.consume() as body, body.stream() as stream:
        while True:
            try:
                whole += stream.blocking_read(CHUNK_BYTES)
            except Err as end:
                if isinstance(end.value, StreamError_Closed):
                    return whole
                raise


def write(body: OutgoingBody, data: bytes) -> None:
    """Sends the whole body and ends it."""
    with body.write() as stream:
        for begin in range(0, len(data), CHUNK_BYTES):
            stream.blocking_write_and_flush(data[begin : begin + CHUNK_BYTES])
    OutgoingBody.finish(body, None)
