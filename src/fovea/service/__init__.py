"""Every stage behind an address: jobs over HTTP, their progress as it happens, a page for people.

A job is a Run. The service checks a Config, writes a recipe, and starts `fovea run` in a process of
its own; what it knows of the job afterwards it reads from the run's folder.
"""
