"""The app and the server it runs on.

Every question carries the whole design, and its answer goes back to the page that asked; the server keeps nothing of a
page. Files are read from the library and the chosen folder only, and none is written.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import flask
from dash import Dash
from plotly.offline import get_plotlyjs
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sim.app.callbacks import Callbacks
from sim.app.layout import page
from sim.app.wiring import connect
from sim.errors import InputError, Problem
from sim.report.figures import kit

TITLE: Final = "foretrain"
POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Nothing is fetched from elsewhere; Dash starts itself by a script in the page."""
LOCAL: Final = ("127.0.0.1", "localhost", "::1")


def create(folder: Path, first: str) -> Dash:
    """The app for one folder; `first` is the scenario its page opens with."""
    app = Dash(
        __name__, title=TITLE, update_title="", serve_locally=True, enable_mcp=False, add_log_handler=False,
        compress=False, assets_folder="assets",
    )  # fmt: skip
    app.index_string = _INDEX
    calls = Callbacks(folder)
    app.layout = lambda: page(calls.scenarios(), first)
    app.server.add_url_rule("/kit.js", "kit", _kit)
    app.server.after_request(_guarded)
    connect(app, calls)
    return app


@contextmanager
def listening(app: Dash, host: str, port: int) -> Iterator[BaseWSGIServer]:
    """The server, bound and ready to `serve_forever`; port 0 takes a free one.

    Bound to this machine, it turns away requests that name another host (DNS rebinding).
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        rule = f"cannot be listened on: {(error.strerror or str(error)).lower()}"
        raise InputError(Problem(rule, "--host, --port", f"{host}, {port}")) from None
    if host in LOCAL:
        app.server.before_request(_local)
    with bound:
        server = make_server(host, port, app.server, threaded=True, request_handler=_Quiet, fd=bound.fileno())
        try:
            yield server
        finally:
            server.server_close()


class _Quiet(WSGIRequestHandler):
    """stderr is for messages, not for a line a request."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing."""


def _local() -> flask.Response | None:
    """A refusal for a request that was sent to another name than this machine's."""
    name = urlsplit(f"//{flask.request.host}").hostname
    if name in LOCAL:
        return None
    return flask.Response("This app answers to this machine only.", 403, mimetype="text/plain")


def _guarded(response: flask.Response) -> flask.Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _kit() -> flask.Response:
    """Plotly and the script of the figure kit, as the pages of `foretrain report` carry them."""
    text = f"{get_plotlyjs()}\n{kit.SCRIPT}"
    response = flask.Response(text, mimetype="text/javascript")
    response.headers["Cache-Control"] = "max-age=3600"
    return response


_INDEX: Final = f"""<!doctype html>
<html lang="en">
<head>
{{%metas%}}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{%title%}}</title>
{{%favicon%}}
<style>{kit.STYLE}</style>
{{%css%}}
<script src="/kit.js"></script>
</head>
<body>
{{%app_entry%}}
<footer>
{{%config%}}
{{%scripts%}}
{{%renderer%}}
</footer>
</body>
</html>"""
