"""The chain as seen by Tessera: typed reads, writes and events. The only package that imports web3.

`ports` and `deployment` are plain values and cost nothing to import; `reader`, `writer` and `deploy` connect.
"""
