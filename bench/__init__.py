"""How fast Dragoman is, as a ratio to small reference code that does the same work in the same minute.

`python -m bench` runs everything, `python -m bench --check` the part that belongs in continuous
integration. One file per group of rows: `decode`, `arguments`, `client`, `server`, `imports`, `store`. The limits
are in `limits`, the way of measuring in `measure`. Nothing here is part of the package.
"""
