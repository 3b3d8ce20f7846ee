"""What the real-service checks share: counting, processes, a registry to start, images to push.

Python's standard library alone, so that a checkout needs nothing but the clients themselves.
"""
