from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Certificate")


@_attrs_define
class Certificate:
    """What proves that a card was erased.

    Attributes:
        number (str): Of the certificate.
        token (str):
        erased_at (str): Date and time, as ISO 8601 has them.
        content (str): JSON as text: it is signed, to the byte.
        signature (str): HMAC-SHA-256 by KMS, in base64.
        key (str): The ARN of the key that signed.
    """

    number: str
    token: str
    erased_at: str
    content: str
    signature: str
    key: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        token = self.token

        erased_at = self.erased_at

        content = self.content

        signature = self.signature

        key = self.key

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "token": token,
                "erased_at": erased_at,
                "content": content,
                "signature": signature,
                "key": key,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        number = d.pop("number")

        token = d.pop("token")

        erased_at = d.pop("erased_at")

        content = d.pop("content")

        signature = d.pop("signature")

        key = d.pop("key")

        certificate = cls(
            number=number,
            token=token,
            erased_at=erased_at,
            content=content,
            signature=signature,
            key=key,
        )

        certificate.additional_properties = d
        return certificate

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
