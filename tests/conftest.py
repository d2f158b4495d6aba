"""What holds for every test: Hypothesis tries the same examples on every machine, however slow it is.

`make fuzz` and the tests marked `soak` look for new ones; so does `pytest --hypothesis-profile=default`.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
