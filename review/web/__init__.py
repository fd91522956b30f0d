"""The desk's web application, for operators and auditors. Works without JavaScript.

A page is a plain function `handler(request) -> Response` in a module of this folder that lists it
in its `ROUTES`; the module stands in `pages.py`. The handler runs in a thread, behind the gate:
`gate.user_of(request)` says who asks, `database.reading(request)` gives a read-only connection,
`forms.form_of(request)` the posted form (its token is checked already), `render.page` the answer.
What changes something is a verb of `sync/`, called with `desk.desk_of(request).context()`.

Must not reach an ERP, write a table, or decide what a verb of `sync/` decides.
"""
