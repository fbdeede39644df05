"""The size of the images in each epoch; knows no torch."""


def image_sizes(image_size: int, epochs: int, progressive: bool) -> tuple[int, ...]:
    """Pixels a side in each epoch: progressive training begins at 6/7 of the size.

    The first third of the epochs is at 6/7, in multiples of 32 pixels (the stride of the
    networks), the rest at full size: under ``one_cycle`` the change comes while the rate is high.
    """
    if not progressive:
        return (image_size,) * epochs
    small = max(32, round(image_size * 6 / 7 / 32) * 32)
    return (small,) * (epochs // 3) + (image_size,) * (epochs - epochs // 3)
