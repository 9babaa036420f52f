import numpy as np
import pytest
from fakes import FakeEncoder
from PIL import Image

from embeddings.parallel import ParallelEncoder


@pytest.mark.parametrize("count", [0, 1, 2, 7, 12])
def test_pictures_are_shared_by_size_and_come_back_in_order(count: int) -> None:
    small, large = FakeEncoder(batch_size=2), FakeEncoder(batch_size=4)
    both = ParallelEncoder([small, large])
    images = [Image.new("RGB", (8, 8), (20 * n, 0, 100)) for n in range(count)]
    found = both.encode_images(images)
    np.testing.assert_array_equal(found, FakeEncoder().encode_images(images))
    assert both.batch_size == 6
    assert small.batches[0] + large.batches[0] == count
    assert small.batches[0] <= large.batches[0] + 1


def test_texts_and_identity_are_the_models() -> None:
    both = ParallelEncoder([FakeEncoder(), FakeEncoder()])
    assert (both.dim, both.model_id) == (4, "fake/1")
    np.testing.assert_array_equal(both.encode_texts(["red"]), FakeEncoder().encode_texts(["red"]))


def test_encoders_of_different_models_are_refused() -> None:
    other = FakeEncoder()
    other.model_id = "other/2"
    with pytest.raises(ValueError, match="encoders of one model"):
        ParallelEncoder([FakeEncoder(), other])
