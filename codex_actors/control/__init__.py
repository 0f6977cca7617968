"""How a running supervisor process is seen and steered: requests over a private unix socket.

Start reading at `messages`, what can be asked, and `handlers`, what is done then.  `jsonrpc` is the
form on the wire, `server` and `client` its two ends, `local` the way around it.
"""
