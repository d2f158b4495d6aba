"""What happens after the response head.

`framing` (where an upstream body ends), `boundary` (where an event ends), `deadlines` (timeouts without timers),
`close` (why streams end), `failure` (what tells a client that it was upstream's fault), `pace` (silences that come near
the idle timeout), `early` (a response that begins before upstream's), `stall` (a client that takes nothing),
`relay` (bytes from one connection to the other), `passage` (the short way of whole events).
"""
