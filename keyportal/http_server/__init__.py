"""The HTTP server in front of Django: it parses requests, bounds their size and time, and routes them (decision 19).

`worker.py` has the event loop. A connection has three parts: `receiving.py` parses bytes, `reading.py` reads no further
ahead than there is room for, `connection.py` answers in order and in time. `request.py` is what was sent and how much
of it is believed. `server.py` decides who answers (`host.py` is what a connection knows of it): the event loop from the
cache (`fast_path.py`), or a thread of `threads.py`; Django gets the WSGI environ of `environ.py`. `response.py` writes
the response; `service_manager.py` says that the server is ready; `load.py` is what the process has to do, for the
metrics.
"""
