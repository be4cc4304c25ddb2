"""The service's main job: a photograph comes in, a scene goes out.

Rules of sizes and devices, the options of a request, and the recipe that is made of them.
"""
