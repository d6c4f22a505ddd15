/* The browser's half of the app: shows the HTML of answers, keeps pictures while sliders move, copies, settles. */
(function () {
  "use strict";
  var SETTLE_MS = 400;
  var timers = {};

  function same(a, b) { return JSON.stringify(a) === JSON.stringify(b); }

  /* New HTML in place of the old; a picture that stays is redrawn where it is, and what was unfolded stays open. */
  function render(root, html) {
    var made = document.createElement("template");
    made.innerHTML = html;
    var kept = [];
    made.content.querySelectorAll("figure[id]").forEach(function (figure) {
      var known = document.getElementById(figure.id);
      var plot = known && root.contains(known) && known.querySelector(".plot");
      if (!plot || !plot.data) return;
      var fresh = figure.querySelector(".plot");
      plot.setAttribute("aria-label", fresh.getAttribute("aria-label"));
      plot.dataset.height = fresh.dataset.height;
      plot.classList.remove("plot");
      fresh.replaceWith(plot);
      kept.push(plot);
    });
    var open = Array.from(root.querySelectorAll("details[open] > summary")).map(function (s) { return s.textContent; });
    made.content.querySelectorAll("details > summary").forEach(function (summary) {
      if (open.indexOf(summary.textContent) >= 0) summary.parentNode.open = true;
    });
    root.replaceChildren(made.content);
    foretrain.show(root);
    kept.forEach(function (plot) { plot.classList.add("plot"); foretrain.draw(plot); });
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch (error) {
      return false;
    }
  }

  /* On a narrow screen the answer is not far below: what is chosen once is folded away. */
  var seen = new MutationObserver(function () {
    var parts = document.querySelectorAll("details.choices");
    if (!parts.length) return;
    seen.disconnect();
    if (window.matchMedia("(max-width: 62rem)").matches) parts.forEach(function (part) { part.open = false; });
  });
  seen.observe(document.documentElement, {childList: true, subtree: true});

  window.dash_clientside = Object.assign({}, window.dash_clientside, {page: {
    show: function (data, id) {
      ["view", "figures"].forEach(function (part) {
        var root = document.getElementById(id + "-" + part);
        if (root) render(root, data ? data[part === "view" ? "html" : part] : "");
      });
    },
    settle: function (design, id) {
      window.clearTimeout(timers[id]);
      timers[id] = window.setTimeout(function () {
        window.dash_clientside.set_props(id, {data: design});
      }, SETTLE_MS);
    },
    status: function (id, design, confirmed, worth, chips) {
      var name = id.charAt(0);
      function current(data) { return Boolean(design && data && same(data.design, design)); }
      var held = {"confirmed-view": confirmed, "confirmed-figures": confirmed, "worth-figures": worth,
        "chips-view": chips, "chips-figures": chips};
      Object.keys(held).forEach(function (part) {
        document.getElementById(name + "-" + part).classList.toggle("stale", !current(held[part]));
      });
      if (!design) return "";
      return current(confirmed) ? "Confirmed by SimPy" : "Estimate; SimPy is confirming it …";
    },
    share: async function (clicks, link) {
      if (!clicks) return "";
      var url = new URL(window.location.href);
      url.search = link ? "?state=" + link : "";
      window.history.replaceState(null, "", url);
      return await copied(url.href) ? "Copied" : "The link is in the address bar";
    },
    copy: async function (clicks, text) {
      if (!clicks) return "Copy";
      return await copied(text) ? "Copied" : "Select the text to copy it";
    },
    pair: function (first, second, tab) {
      var app = document.querySelector(".app");
      app.classList.toggle("two", Boolean(second));
      app.classList.toggle("on-b", Boolean(second) && tab === "b");
      return second ? "Remove design B" : "Compare with a second design";
    }
  }});
})();
