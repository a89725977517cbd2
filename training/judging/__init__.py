"""Tells from a clip's pixels alone what it shows; knows neither the model nor the prompt."""
