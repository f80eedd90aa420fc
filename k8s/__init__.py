"""An image and manifests for Kubernetes, as files: see README.md. `importlib.resources.files("k8s")` finds them."""
