"""Every picture foretrain draws: one kit, one look, one file a picture.

A figure is plain data (traces and axes as Plotly reads them, its numbers as a table, a sentence that says what it
shows); `kit` puts figures on a page. Only the kit knows Plotly, and only its browser half.
"""
