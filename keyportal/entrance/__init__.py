"""Between the network and Django: what was really sent, how long it may take, and who waits for whom (decision 19).

`worker.py` has the event loop, `connection.py` one connection in it: bytes in, bytes out, bounds and deadlines.
`request.py` is what was sent and how much of it is believed, `application.py` says who answers it: the event loop from
memory, or `threads.py`, for Django by the WSGI environ of `environ.py`. `answer.py` is what goes back.
"""
