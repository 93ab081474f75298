"""`{{ session.user_agent|device }}`."""

from django import template

from billing.devices import name_of_device

register = template.Library()
register.filter("device", name_of_device)
