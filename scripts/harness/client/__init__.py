"""The clients that people use, a file for each: how one starts, what is checked with it."""

from .buildah import Buildah
from .containerd import Containerd
from .docker import Docker
from .http2 import Http2
from .lists import Curl
from .podman import Podman
from .skopeo import Skopeo
from .together import Together

# In the order in which they run: Docker finds the registry empty, curl finds what all have pushed.
ALL = [Docker, Skopeo, Podman, Buildah, Containerd, Together, Http2, Curl]
