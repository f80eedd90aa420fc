"""The only home of Ray; is handed functions and never asks what they compute."""
