"""The lab's websocket server: echoes on /chat, and is broken in one way when told so.

server.py PORT [wrong-accept | elsewhere]
"""

import http
import sys

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

port, fault = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def look(connection: ServerConnection, request: Request) -> Response | None:
    if request.path != ("/elsewhere" if fault == "elsewhere" else "/chat"):
        return connection.respond(http.HTTPStatus.NOT_FOUND, "There is no websocket here.\n")
    return None


def spoil(connection: ServerConnection, request: Request, response: Response) -> Response:
    if fault == "wrong-accept":
        del response.headers["Sec-WebSocket-Accept"]
        response.headers["Sec-WebSocket-Accept"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    return response


with serve(echo, "127.0.0.1", port, process_request=look, process_response=spoil, ping_interval=None) as server:
    server.serve_forever()
