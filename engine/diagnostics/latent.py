"""The latent space as a map of two dimensions."""

import numpy as np

PERPLEXITY = 30.0  # neighbours that a point looks at, of the order of van der Maaten & Hinton (2008)
FEWEST = 10  # points that make a map


def embed(mu: np.ndarray, seed: int) -> np.ndarray | None:
    """(n, 2) t-SNE coordinates of latent means (n, k), the same for the same seed; None for fewer than FEWEST.

    From the first principal components, so that far apart stays far apart. One thread: sums keep their order.
    """
    if len(mu) < FEWEST:
        return None
    from sklearn.manifold import TSNE  # a second to import, and one task of a scan needs it
    from threadpoolctl import threadpool_limits

    start = "pca" if mu.shape[1] > 1 else "random"
    model = TSNE(init=start, perplexity=min(PERPLEXITY, (len(mu) - 1) / 3), random_state=seed % 2**32, n_jobs=1)
    with threadpool_limits(1):
        return model.fit_transform(mu.astype(np.float64))
