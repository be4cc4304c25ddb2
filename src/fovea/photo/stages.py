"""The stages of the room `photo`, declared: a photograph becomes a scene, a scene a film.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""
