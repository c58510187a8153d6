"""Borders: what is accepted from outside, checked before anything is allocated.

`limits` holds the numbers; the other files hold what checks kinds of inputs by them: `files` (paths),
`json_text` (JSON), `values` (settings in JSON and headers), `options` (the command line), `memory`.
What needs a library (pictures, videos, weights, networks) is checked where it is read, by `limits`.
"""
