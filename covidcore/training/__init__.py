"""How a network is trained: the recipe, augmentation, cached activations and the loop."""
