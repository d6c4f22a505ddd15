"""Which part of the page asks which callback; those `_in_browser` are functions of assets/app.js."""

from __future__ import annotations

from functools import partial
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from sim.app.callbacks import FIELDS, Callbacks, link
from sim.app.layout import DESIGNS
from sim.simulation.properties import PROPERTIES


def connect(app: Dash, calls: Callbacks) -> None:
    """Every callback of the page; those named `page` run in the browser (assets/app.js)."""
    app.callback(
        [Output("opened", "data"), Output("notice", "children")], Input("url", "search"), State("opened", "data")
    )(calls.opened)
    for name in DESIGNS:
        _answered(app, calls, name)
        _shown(app, name)
    settled = [Input(f"{name}-settled", "data") for name in DESIGNS]
    designs = [Input(f"{name}-design", "data") for name in DESIGNS]
    app.callback(Output("beside", "data"), settled)(calls.beside)
    app.callback(Output("link", "data"), designs)(link)
    _in_browser(app, "show", Input("beside", "data"), State("beside", "id"))
    _in_browser(app, "share", Output("copied", "children"), Input("share", "n_clicks"), State("link", "data"))
    _in_browser(app, "pair", Output("compare", "children"), *designs, Input("tab", "value"))


def _answered(app: Dash, calls: Callbacks, name: str) -> None:
    """What the server answers of one design."""
    triggers = {"reset": Input(f"{name}-reset", "n_clicks")} | (
        {"compare": Input("compare", "n_clicks")} if name == "b" else {}
    )
    asked = {
        "opened": Input("opened", "data"),
        "contents": Input(f"{name}-upload", "contents"),
        "scenario": Input(f"{name}-scenario", "value"),
        "filename": State(f"{name}-upload", "filename"),
        "held": State(f"{name}-design", "data"),
        "other": State("a-design", "data"),
    }
    app.callback(output=_values(name, Output), inputs=asked | triggers)(partial(calls.filled, name))
    shown = {
        "design": Output(f"{name}-design", "data"),
        "answer": Output(f"{name}-answer", "data"),
        "values": {key: Output(f"{name}-{key}-value", "children") for key in PROPERTIES},
        "yaml": Output(f"{name}-yaml", "children"),
        "source": Output(f"{name}-scenario", "placeholder"),
        "given": {key: Output(f"{name}-{key}", "placeholder") for key in FIELDS},
    }
    app.callback(output=shown, inputs=_values(name, Input))(partial(calls.answer, name))
    settled = Input(f"{name}-settled", "data")
    app.callback(Output(f"{name}-confirmed", "data"), settled)(partial(calls.confirmed, name))
    app.callback(Output(f"{name}-chips", "data"), settled)(partial(calls.chips, name))
    worth = {
        "texts": {key: Output(f"{name}-{key}-worth", "children") for key in PROPERTIES},
        "worth": Output(f"{name}-worth", "data"),
    }
    app.callback(output=worth, inputs={"settled": settled})(partial(calls.worth, name))


def _shown(app: Dash, name: str) -> None:
    """What the browser does for one design: wait until it rests, show answers, say where they stand, copy."""
    _in_browser(app, "settle", Input(f"{name}-design", "data"), State(f"{name}-settled", "id"))
    for part in ("answer", "confirmed", "worth", "chips"):
        _in_browser(app, "show", Input(f"{name}-{part}", "data"), State(f"{name}-{part}", "id"))
    known = [Input(f"{name}-{part}", "data") for part in ("design", "confirmed", "worth", "chips")]
    status = f"{name}-status"
    _in_browser(app, "status", Output(status, "children"), Input(status, "id"), *known)
    copied = Output(f"{name}-copy", "children")
    _in_browser(app, "copy", copied, Input(f"{name}-copy", "n_clicks"), State(f"{name}-yaml", "children"))


def _values(name: str, kind: Any) -> dict[str, Any]:
    """The controls of a design, as inputs or outputs."""
    return {
        "scenario": kind(f"{name}-scenario", "value"),
        "fields": {key: kind(f"{name}-{key}", "value") for key in FIELDS},
        "others": kind(f"{name}-others", "value"),
        "also": kind(f"{name}-also", "value"),
        "scale": {key: kind(f"{name}-{key}", "value") for key in PROPERTIES},
        "text": kind(f"{name}-text", "data"),
    }


def _in_browser(app: Dash, function: str, *parts: Any) -> None:
    run: Any = app.clientside_callback
    run(ClientsideFunction("page", function), *parts)
