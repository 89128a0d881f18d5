"""A home directory and a login name for a process that has none, as users of containers often are.

`pathlib`, `platformdirs` and PyTorch raise errors of their own without them.
"""

import os
import pwd

# As Debian calls the home of a user that has none: what is looked for is not there, and what would
# be written is refused with a path in the error.
NOWHERE = "/nonexistent"
LOGIN_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def ensure_home() -> None:
    """Set `HOME` to an absolute path, and a login name, for this process and its descendants."""
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        home, login = "", str(os.getuid())
    else:
        home, login = user.pw_dir, user.pw_name
    if not os.path.isabs(os.environ.get("HOME", "")):
        os.environ["HOME"] = home if os.path.isabs(home) else NOWHERE
    if not any(os.environ.get(name) for name in LOGIN_VARIABLES):
        os.environ["LOGNAME"] = login
