"""How property tests run here: the same examples each time, none kept, no clock."""

import tempfile

from hypothesis import HealthCheck, configuration, settings

# What it notes of the code under test would lie in the folder that the tests are run from.
configuration.set_hypothesis_home_dir(tempfile.gettempdir() + "/hypothesis")


def examples(count: int) -> settings:
    """So many examples of each property."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        # Fixtures are asked once for all examples: what they hold must not depend on the order.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
