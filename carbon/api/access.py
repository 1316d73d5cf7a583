from carbon.auth.access import *  # noqa: F403
from carbon.auth.access import ContextOf as ContextOf
from carbon.auth.access import Reader as Reader
