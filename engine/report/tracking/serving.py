"""What MLflow runs to load a model of the zoo: copied beside the weights, it needs recoilscan and unpickles nothing."""

from pathlib import Path

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

import zoo
from engine import plugins


class Terms(PythonModel):
    """Per-event terms of a fitted model: `recon` and `kl` of an autoencoder, `logit` of a classifier."""

    def load_context(self, context) -> None:
        """Reads the weights; the family is the installed one, or the user's file that lies beside them."""
        name = context.artifacts.get("family", context.model_config["family"])
        self.fitted = zoo.load(Path(context.artifacts["model"]).read_bytes(), plugins.load("zoo", name))

    def predict(self, context, model_input: np.ndarray, params=None) -> dict[str, np.ndarray]:
        """float64 of shape (n,) by name, for features (n, n_features) float32 as a representation makes them."""
        return zoo.terms(self.fitted, model_input)


set_model(Terms())  # MLflow asks a model's file for this, and imports it for nothing else
