"""Figures as data, and the script and style that show them on a page of their own.

Colours come by role: a trace says `@ink` or `@muted`, and the page takes what suits light, dark or paper. Texts may
hold anything: what Plotly would read as markup is escaped where the figure is written out, and a line break is a
newline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from html import escape
from typing import Any, Final, TypeAlias

from sim.records import dataclass
from sim.report.tables import Table

Trace: TypeAlias = dict[str, Any]

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3f7fbf", "#d9822b", "#3c9a72", "#c8505f", "#8a6bbd", "#8b929b"
PALETTE: Final = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY, "#a98b1f", "#3fa7b8", "#b8648f", "#5c6b2f")
INK, MUTED = "@ink", "@muted"


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture: `key` names it on its page, `text` says in a sentence what it shows."""

    key: str
    title: str
    text: str
    traces: tuple[Trace, ...]
    layout: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None
    height: int = 380  # px


def axis(title: str, log: bool = False, **more: Any) -> dict[str, Any]:
    """An axis with its title; a logarithmic one is labelled by decades."""
    scale = {"type": "log", "dtick": 1, "exponentformat": "power"} if log else {}
    return {"title": {"text": title}, **scale, **more}


def bars(names: list[str], values: list[float], texts: list[str], **more: Any) -> Trace:
    """Horizontal bars, the first on top, each with its text."""
    return {
        "type": "bar",
        "orientation": "h",
        "y": names[::-1],
        "x": values[::-1],
        "text": texts[::-1],
        "hoverinfo": "y+text",
        "textposition": "auto",
        "cliponaxis": False,
        "showlegend": False,
        **more,
    }


def shown(figure: Figure) -> str:
    """The figure as HTML: heading, picture, sentence, and its numbers as a table to unfold."""
    spec = {"data": list(figure.traces), "layout": dict(figure.layout)}
    numbers = ""
    if figure.table is not None and figure.table.rows:
        numbers = f"<details><summary>the numbers</summary>{figure.table.html(figure.title)}</details>\n"
    return (
        f'<figure id="{figure.key}">\n<h2>{escape(figure.title)}</h2>\n'
        f'<div class="plot" role="img" aria-label="{escape(figure.text)}" data-height="{figure.height}" '
        f'style="height:{figure.height}px"></div>\n'
        f'<script type="application/json">{_json(_plain(spec))}</script>\n'
        f"<figcaption>{escape(figure.text)}</figcaption>\n{numbers}</figure>"
    )


def document(title: str, body: str, drawn: bool = True) -> str:
    """A page that needs nothing else: style, script and, where something is `drawn`, Plotly."""
    scripts = ""
    if drawn:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415  (0.1 s: only where a picture is written)

        scripts = f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}\nforetrain.show(document);</script>\n"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"{scripts}</body>\n</html>\n"
    )


def page(*figures: Figure) -> str:
    """A page of figures alone, titled as the first."""
    return document(figures[0].title, "\n".join(map(shown, figures)))


def _plain(value: Any) -> Any:
    """What Plotly shows as it stands: `<` and `&` as entities, newlines as its line break."""
    if isinstance(value, str):
        return escape(value, quote=False).replace("\n", "<br>")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _json(value: object) -> str:
    """JSON that no HTML parser takes for markup; numbers of seven digits are finer than a screen."""
    text = json.dumps(_rounded(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


STYLE: Final = """
:root { color-scheme: light dark;
  --ink: #1c2430; --muted: #5d6875; --line: #d8dee6; --ground: #fff; --raised: #f5f7fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9f0; --muted: #9aa6b4; --line: #333d49; --ground: #12171d; --raised: #1b222b; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1.2rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .2rem 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.12rem; margin: 2.4rem 0 .3rem; }
p, li { overflow-wrap: anywhere; }
.lead { font-size: 1.12rem; }
.muted, figcaption, summary { color: var(--muted); font-size: .92rem; }
figure { margin: 0; }
h2 { break-after: avoid; }
figcaption { margin-top: .3rem; }
.plot { width: 100%; overflow: hidden; break-inside: avoid; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: .4rem 0; }
caption { text-align: left; color: var(--muted); }
th, td { padding: .22rem .7rem .22rem 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { font-weight: 600; }
td { white-space: nowrap; }
.t { text-align: left; white-space: normal; min-width: 5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
dl > div { background: var(--raised); border-radius: .5rem; padding: .5rem .7rem; }
dt { color: var(--muted); font-size: .82rem; }
dd { margin: 0; font-size: 1.12rem; font-weight: 600; overflow-wrap: anywhere; }
dd small { display: block; font-weight: 400; font-size: .8rem; color: var(--muted); }
pre { background: var(--raised); padding: .7rem; border-radius: .5rem; font: 13px/1.45 ui-monospace, monospace;
  overflow-x: auto; }
.wrap { white-space: pre-wrap; }
nav { font-size: .88rem; margin: .8rem 0; }
nav a { margin-right: .9rem; white-space: nowrap; }
a { color: inherit; }
summary { cursor: pointer; }
@media (max-width: 40rem) { h1 { font-size: 1.25rem; } body { font-size: 15px; } }
@media print {
  :root { --ink: #000; --muted: #444; --line: #bbb; --ground: #fff; --raised: #f4f4f4; }
  nav, summary, .screen { display: none; }
  main { max-width: none; padding: 0; }
  pre { white-space: pre-wrap; }
  .scroll { overflow: visible; }
  table { font-size: .68rem; }
  th, td { white-space: normal; padding-right: .35rem; overflow-wrap: anywhere; }
}
"""

SCRIPT: Final = """
var foretrain = (function () {
  "use strict";
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var themes = {
    light: {"@ink": "#1c2430", "@muted": "#8b929b", "@line": "#e3e7ec", "@ground": "#ffffff"},
    dark: {"@ink": "#e4e9f0", "@muted": "#8b929b", "@line": "#2b343f", "@ground": "#12171d"}
  };
  function painted(value, theme) {
    if (typeof value === "string") return Object.prototype.hasOwnProperty.call(theme, value) ? theme[value] : value;
    if (Array.isArray(value)) return value.map(function (item) { return painted(item, theme); });
    if (value === null || typeof value !== "object") return value;
    var made = {};
    Object.keys(value).forEach(function (key) { made[key] = painted(value[key], theme); });
    return made;
  }
  function draw(plot, paper) {
    var theme = themes[dark.matches && !paper ? "dark" : "light"];
    var spec = painted(JSON.parse(plot.nextElementSibling.textContent), theme);
    var narrow = plot.clientWidth < 560;
    var named = spec.data.filter(function (trace) { return trace.name && trace.showlegend !== false; }).length;
    var rows = narrow && spec.data.length > 1 ? Math.max(0, named - 3) : 0;
    plot.style.height = Number(plot.dataset.height) + 19 * rows + "px";
    var layout = Object.assign({
      autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      font: {family: "system-ui, sans-serif", size: narrow ? 11 : 13, color: theme["@ink"]},
      colorway: COLORWAY,
      margin: {l: narrow ? 44 : 64, r: narrow ? 12 : 24, t: 16, b: 48},
      hoverlabel: {bgcolor: theme["@ground"], bordercolor: theme["@muted"], font: {color: theme["@ink"]}}
    }, spec.layout);
    layout.legend = Object.assign({orientation: "h", x: 0, y: 1.02, yanchor: "bottom", xanchor: "left"}, layout.legend);
    if (narrow) spec.data.forEach(function (trace) {
      if (trace.mode === "markers+text" && trace.x.length > 12) trace.mode = "markers";
    });
    Object.keys(layout).concat(["xaxis", "yaxis"]).forEach(function (key) {
      if (!/^[xy]axis/.test(key)) return;
      var given = layout[key] || {};
      layout[key] = Object.assign({automargin: true, gridcolor: theme["@line"], zerolinecolor: theme["@line"],
        linecolor: theme["@muted"]}, given);
      layout[key].title = Object.assign({font: {size: narrow ? 11 : 13}}, given.title);
      if (narrow && given.nticks === undefined && key[0] === "x") layout[key].nticks = 5;
    });
    return Plotly.react(plot, spec.data, layout, {displayModeBar: false, displaylogo: false});
  }
  function plotsIn(root) { return Array.prototype.slice.call(root.querySelectorAll(".plot")); }
  function drawn() { return plotsIn(document).filter(function (plot) { return plot.data; }); }
  var widths = new Map();
  var watch = new ResizeObserver(function (entries) {
    entries.forEach(function (entry) {
      var width = Math.round(entry.contentRect.width);
      if (entry.target.data && width && widths.get(entry.target) !== width) draw(entry.target);
      widths.set(entry.target, width);
    });
  });
  function show(root) {
    var plots = plotsIn(root), next = 0;
    function one() {
      if (next >= plots.length) {
        document.documentElement.setAttribute("data-drawn", String(drawn().length));
        return;
      }
      draw(plots[next]);
      watch.observe(plots[next]);
      next += 1;
      window.requestAnimationFrame(one);
    }
    window.requestAnimationFrame(one);
  }
  function all(paper) { drawn().forEach(function (plot) { draw(plot, paper); }); }
  dark.addEventListener("change", function () { all(false); });
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = Array.prototype.slice.call(document.querySelectorAll("details:not([open]):not(.screen)"));
    opened.forEach(function (part) { part.open = true; });
    all(true);
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (part) { part.open = false; });
    all(false);
  });
  return {draw: draw, show: show};
})();
""".replace("COLORWAY", json.dumps(list(PALETTE)))
