"""What was seen becomes an incident of its source: opened once, counted anew by each run, reopened if it is back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from django.utils import timezone

from vault import alarms
from vault.models import AuditEvent, Incident, Run, Stray
from vault.scanning.pages import Sighting

#: So many places of an incident are kept; all are counted.
KEPT: Final = 1_000
FOUND: Final = "Card numbers were found where none belong. Work off the incident in the admin."
_BATCH: Final = 200
_State: Final = Incident.State


def file(sightings: Sequence[Sighting], *, run: Run) -> list[AuditEvent]:
    """Add a page of a run to the incidents, and record an alarm for each that this opens or reopens.

    Call it in the transaction that moves the position of the run: then a page counts once. Raises `AuditUnavailable`.
    """
    ordered = sorted(sightings, key=lambda sighting: sighting.source)
    found = [_file_source(source, list(group), run) for source, group in groupby(ordered, lambda each: each.source)]
    return [alarm for alarm in found if alarm is not None]


def _file_source(source: str, sightings: list[Sighting], run: Run) -> AuditEvent | None:
    incident, is_new = Incident.objects.select_for_update().get_or_create(source=source, defaults={"run": run})
    if incident.run_id != run.pk:
        incident.run, incident.found = run, 0
    incident.found += len(sightings)
    incident.last_seen = timezone.now()
    has_new_places = _keep_places(incident, sightings)
    is_back = incident.state == _State.CLEANED or (
        incident.state == _State.FALSE_ALARM and (has_new_places or incident.found > incident.found_when_decided)
    )
    if is_back:
        incident.state, incident.reopened_at = _State.OPEN, timezone.now()
    incident.save(update_fields=["run", "found", "last_seen", "state", "reopened_at"])
    if not (is_new or is_back):
        return None
    # Recorded before it is committed: there is no incident without its alarm.
    return alarms.write("stray.found", FOUND, subject=f"incident:{incident.pk}", is_back=is_back, where=source)


def _keep_places(incident: Incident, sightings: list[Sighting]) -> bool:
    """Remember when each place was last seen, and the new ones as long as there is room. True if one is new."""
    places = {(each.place, each.brand, each.last4): each for each in sightings}
    wanted = list(places.items())
    known = set()
    for start in range(0, len(wanted), _BATCH):
        names = [each.place for _, each in wanted[start : start + _BATCH]]
        rows = list(incident.strays.filter(place__in=names).values_list("pk", "place", "brand", "last4"))
        seen = {row[0]: row[1:] for row in rows if row[1:] in places}
        known |= set(seen.values())
        incident.strays.filter(pk__in=seen).update(last_seen=timezone.now(), gone_at=None)
    room = max(KEPT - incident.strays.count(), 0)
    new = [each for key, each in wanted if key not in known][:room]
    Stray.objects.bulk_create(
        [Stray(incident=incident, place=each.place, key=each.key, brand=each.brand, last4=each.last4) for each in new],
        batch_size=_BATCH,
        # A collation may take two places for one.
        ignore_conflicts=True,
    )
    return bool(new)
