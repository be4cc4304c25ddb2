"""The model's own parts: what joins a picture's towers to a language model."""
