"""The entry point of the web server."""

import os

from django.core.wsgi import get_wsgi_application

from billing.logs import with_errors_logged

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.production")

application = with_errors_logged(get_wsgi_application())
