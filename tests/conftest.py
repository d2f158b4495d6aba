"""What holds for every test: Hypothesis tries the same examples on every machine, however slow it is, and as many files
may be open as the machine lets us; a thousand streams are four thousand sockets.

`make fuzz` and the tests marked `soak` look for new examples; so does `pytest --hypothesis-profile=default`.
"""

import resource

from hypothesis import HealthCheck, settings

settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
