from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.brand_enum import BrandEnum, check_brand_enum
from ..models.card_status_enum import CardStatusEnum, check_card_status_enum

T = TypeVar("T", bound="Token")


@_attrs_define
class Token:
    """What is known of a card without opening it.

    Attributes:
        token (str):
        brand (BrandEnum):
        bin_ (str): The first six or eight digits.
        last4 (str): The last four digits.
        fingerprint (str): The same for the same card. Nothing can be paid or read with it.
        expires (None | str):
        created_at (datetime.datetime): When it came on file.
        status (CardStatusEnum):
        retain_until (datetime.date | None): The last day on which the card is kept.
        erased_at (datetime.datetime | None): Null while it is on file.
    """

    token: str
    brand: BrandEnum
    bin_: str
    last4: str
    fingerprint: str
    expires: None | str
    created_at: datetime.datetime
    status: CardStatusEnum
    retain_until: datetime.date | None
    erased_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        token = self.token

        brand: str = self.brand

        bin_ = self.bin_

        last4 = self.last4

        fingerprint = self.fingerprint

        expires: None | str
        expires = self.expires

        created_at = self.created_at.isoformat()

        status: str = self.status

        retain_until: None | str
        if isinstance(self.retain_until, datetime.date):
            retain_until = self.retain_until.isoformat()
        else:
            retain_until = self.retain_until

        erased_at: None | str
        if isinstance(self.erased_at, datetime.datetime):
            erased_at = self.erased_at.isoformat()
        else:
            erased_at = self.erased_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "token": token,
                "brand": brand,
                "bin": bin_,
                "last4": last4,
                "fingerprint": fingerprint,
                "expires": expires,
                "created_at": created_at,
                "status": status,
                "retain_until": retain_until,
                "erased_at": erased_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        token = d.pop("token")

        brand = check_brand_enum(d.pop("brand"))

        bin_ = d.pop("bin")

        last4 = d.pop("last4")

        fingerprint = d.pop("fingerprint")

        def _parse_expires(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        expires = _parse_expires(d.pop("expires"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        status = check_card_status_enum(d.pop("status"))

        def _parse_retain_until(data: object) -> datetime.date | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                retain_until_type_0 = datetime.date.fromisoformat(data)

                return retain_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.date | None, data)

        retain_until = _parse_retain_until(d.pop("retain_until"))

        def _parse_erased_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                erased_at_type_0 = datetime.datetime.fromisoformat(data)

                return erased_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        erased_at = _parse_erased_at(d.pop("erased_at"))

        token = cls(
            token=token,
            brand=brand,
            bin_=bin_,
            last4=last4,
            fingerprint=fingerprint,
            expires=expires,
            created_at=created_at,
            status=status,
            retain_until=retain_until,
            erased_at=erased_at,
        )

        token.additional_properties = d
        return token

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
