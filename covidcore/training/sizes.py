"""The size of the images in each epoch; knows no torch."""


def image_sizes(image_size: int, epochs: int, progressive: bool) -> tuple[int, ...]:
    """Pixels a side in each epoch: progressive training begins at 4/7 and ends at full size.

    A third of the epochs each at 4/7, 5/7 and 7/7, in multiples of 32 pixels (the stride of the
    networks); the last third, and so the last epoch, at full size.
    """
    if not progressive:
        return (image_size,) * epochs
    steps = [max(32, round(image_size * share / 32) * 32) for share in (4 / 7, 5 / 7)]
    sizes = [*steps, image_size]
    return (*(sizes[epoch * 3 // epochs] for epoch in range(epochs - 1)), image_size)
