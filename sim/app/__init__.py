"""The live explorer: designs in a page, answered as they are turned, each question sent whole so that pages never mix.

`state` is what a page holds and a link carries, `design` makes a scenario of it, `answers` simulates it, `view` says it
as HTML; `layout` is the page, `wiring` says which part of it asks which of `callbacks`, `server` runs them.
"""
