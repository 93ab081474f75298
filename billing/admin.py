"""Users in the admin: Django's own pages, with names that hold no card number."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User

from billing.users import NAMES
from vault.admin import RefusePANSearchMixin
from vault.validators import validate_no_pan

admin.site.unregister(User)


@admin.register(User)
class UserAdmin(RefusePANSearchMixin, DjangoUserAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **options)
        # On the form's field and not on the model's alone: the form looks for a user of that name before it asks the
        # model, and that look-up would be SQL.
        if field is not None and db_field.name in NAMES:
            field.validators.insert(0, validate_no_pan)
        return field
