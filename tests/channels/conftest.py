"""Settings of the property tests of this folder."""

from hypothesis import HealthCheck, settings

settings.register_profile("channels", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("channels")
