"""The HTTP server in front of Django: it parses requests, bounds their size and time, and routes them (decision 19).

`worker.py` has the event loop, `connection.py` one connection in it: bytes in, bytes out, bounds and deadlines.
`request.py` is what was sent and how much of it is believed. `server.py` decides who answers: the event loop from
the cache, or a thread of `threads.py`; Django gets the WSGI environ of `environ.py`. `response.py` writes the response.
"""
