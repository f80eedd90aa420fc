"""A study on a cluster: as a RayJob on Kubernetes, or as a job of a Ray cluster that is there."""
