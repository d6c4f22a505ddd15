"""The page: controls of two designs, answers beside them. What it shows is decided by `server`'s callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from sim.app.controls import CONTROLS, FACTORS, MIDDLE, WORDS, Control
from sim.files.hardware import list_accelerators
from sim.simulation.properties import PROPERTIES

DESIGNS = ("a", "b")
GROUPS = {"what": "What is trained", "on": "On which hardware", "plan": "How it is laid out"}


def page(scenarios: Sequence[str], first: str) -> Any:
    """The whole page; `first` is the scenario it opens with."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="opened", data={"first": first}),
            *(dcc.Store(id=f"{design}-{name}") for design in DESIGNS for name in STORES),
            dcc.Store(id="beside"),
            dcc.Store(id="link"),
            _head(),
            html.Div(id="notice", className="notice", role="alert"),
            html.Div([_controls(scenarios), _answers()], className="columns"),
        ],
        className="app",
    )


STORES = ("text", "design", "settled", "answer", "confirmed", "worth", "chips")


def _head() -> Any:
    return html.Header(
        [
            html.H1("foretrain"),
            html.P("What a design takes to its target, and what holds it back", className="muted"),
            html.Div(
                [
                    html.Button("Compare with a second design", id="compare", n_clicks=0, type="button"),
                    html.Button("Copy link", id="share", n_clicks=0, type="button"),
                    html.Span("", id="copied", role="status", className="muted"),
                ],
                className="actions",
            ),
        ]
    )


def _controls(scenarios: Sequence[str]) -> Any:
    """One panel a design; tabs where there are two."""
    tabs = dcc.RadioItems(
        options=[{"label": f"Design {design.upper()}", "value": design} for design in DESIGNS],
        value="a",
        id="tab",
        className="tabs",
        inline=True,
    )
    panels = [_panel(design, scenarios) for design in DESIGNS]
    return html.Aside([tabs, *panels], className="controls", **_aria(label="Designs"))


def _panel(design: str, scenarios: Sequence[str]) -> Any:
    return html.Div(
        [
            _labelled(
                f"{design}-scenario",
                "Scenario",
                dcc.Dropdown(list(scenarios), id=f"{design}-scenario", clearable=False, className="choice"),
            ),
            dcc.Upload(
                ["Drop a scenario file here, or ", html.Span("choose one", className="link")],
                id=f"{design}-upload",
                className="drop",
                className_active="drop over",
                max_size=1_000_000,
                multiple=False,
            ),
            _sliders(design),
            html.Details(
                [html.Summary("Model, hardware and plan"), *(_group(design, *group) for group in GROUPS.items())],
                open=True,
                className="choices",
            ),
            _labelled(
                f"{design}-also",
                "The same on other accelerators",
                dcc.Dropdown(list(list_accelerators()), id=f"{design}-also", multi=True, placeholder="none"),
            ),
            html.Details(
                [
                    html.Summary("Any other field"),
                    html.Label("PATH=VALUE, one a line, as --set takes them", htmlFor=f"{design}-others"),
                    dcc.Textarea(id=f"{design}-others", rows=3, spellCheck=False, placeholder="training.jitter=0.02"),
                ]
            ),
            html.Details(
                [
                    html.Summary("This scenario as YAML"),
                    html.Button("Copy", id=f"{design}-copy", n_clicks=0, type="button"),
                    html.Pre("", id=f"{design}-yaml", tabIndex="0", **_aria(label="The scenario as YAML")),
                ]
            ),
        ],
        id=f"{design}-panel",
        className="panel",
    )


def _group(design: str, key: str, title: str) -> Any:
    fields = [_control(design, control) for control in CONTROLS if control.group == key]
    return html.Fieldset([html.Legend(title), html.Div(fields, className="fields")])


def _control(design: str, control: Control) -> Any:
    name = f"{design}-{control.name}"
    made: Any
    if control.options is None:
        made = dcc.Input(
            id=name, type="text", debounce=True, placeholder=control.hint, autoComplete="off", spellCheck=False
        )
    else:
        options = [{"label": WORDS.get((control.name, str(v)), str(v)), "value": str(v)} for v in control.options()]
        made = dcc.Dropdown(options, id=name, placeholder="as in the scenario", className="choice")
    return _labelled(name, control.label, made)


def _aria(**said: str) -> dict[str, Any]:
    """What a screen reader is told of a part."""
    return {f"aria-{name}": value for name, value in said.items()}


def _labelled(name: str, label: str, made: Any) -> Any:
    return html.Div([html.Label(label, htmlFor=name), made], className="field")


def _sliders(design: str) -> Any:
    """A slider for every hardware property, with its value and what one percent of it is worth."""
    head = html.Div(
        [html.Span("value"), html.Span("elasticity", title="percent of time for one percent of the property")],
        className="slider-head",
        **_aria(hidden="true"),
    )
    rows = [
        html.Div(
            [
                html.Label(prop.label, htmlFor=f"{design}-{name}"),
                html.Output("", id=f"{design}-{name}-value"),
                html.Span("", id=f"{design}-{name}-worth", className="worth"),
                dcc.Input(id=f"{design}-{name}", type="range", min=0, max=len(FACTORS) - 1, step=1, value=MIDDLE),
            ],
            className="slider",
        )
        for name, prop in PROPERTIES.items()
    ]
    reset = html.Button("All as the files say", id=f"{design}-reset", n_clicks=0, type="button", className="small")
    return html.Fieldset([html.Legend("Turn the hardware"), head, *rows, reset])


def _answers() -> Any:
    columns = [
        html.Section(
            [
                html.H2(f"Design {design.upper()}", className="which"),
                html.P("", id=f"{design}-status", className="status", role="status"),
                *(html.Div(id=f"{design}-{part}-view") for part in ("answer", "confirmed", "chips")),
                *(html.Div(id=f"{design}-{part}-figures") for part in ("chips", "answer", "worth", "confirmed")),
            ],
            id=f"{design}-answers",
            className="answers",
            **_aria(label=f"Answer of design {design.upper()}"),
        )
        for design in DESIGNS
    ]
    both = html.Section([html.Div(id="beside-view"), html.Div(id="beside-figures")], className="beside")
    return html.Main([both, html.Div(columns, className="pair")])
