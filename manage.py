#!/usr/bin/env python
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.local")
    from django.core.management import execute_from_command_line

    from billing.settings.environment import Incomplete

    try:
        execute_from_command_line(sys.argv)
    except Incomplete as error:
        # One message for whoever typed this; a traceback would push it off the screen.
        sys.exit(str(error))
