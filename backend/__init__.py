"""The broker: matches orders with contributors, drives them through the chain, serves ciphertext.

`backend.app.create_app` builds the HTTP application, `backend.main.run` a whole process. Nothing here
connects,
reads the environment or starts a thread at import.
"""
