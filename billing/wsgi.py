"""The entry point of the web server."""

import os

from django.core.wsgi import get_wsgi_application

from billing.logs import with_errors_logged
from billing.start import refuse_unsafe

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.production")

_django = get_wsgi_application()
refuse_unsafe()
application = with_errors_logged(_django)
