"""What configurations name, without torch: a family that only says what it takes needs no more (`zoo.declared`)."""

from math import prod

KINDS = ("max", "raw", "log1p_standard", "byte")  # of `preprocess`
ACTIVATIONS = ("linear", "relu", "leaky_relu", "tanh")
IMAGE_SHAPE = (75, 75, 3)  # rows, columns, colours; arXiv:2110.12248, section IV A
IMAGE_LENGTH = prod(IMAGE_SHAPE)
