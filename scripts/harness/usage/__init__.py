"""What people did with the registries that ours replaces, step by step, a file for each subject."""

from .caddy import Caddy
from .first_steps import FirstSteps
from .haproxy import Haproxy
from .nginx import Nginx
from .other_clients import OtherClients
from .own_authority import OwnAuthority
from .passwords import Passwords
from .self_signed import SelfSigned

ALL = [FirstSteps, SelfSigned, OwnAuthority, Passwords, OtherClients, Nginx, Haproxy, Caddy]
