"""TLS between a load balancer and this server, with a key that nobody else ever has."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_NAME: Final = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "billing task")])
# Longer than any task lives. Nobody looks at it.
_VALID: Final = timedelta(days=3650)


def ephemeral_context() -> ssl.SSLContext:
    """TLS 1.2 or later under a new key and a certificate that it signed itself.

    It keeps what is sent over the network of the VPC from those who listen there. It proves to nobody who answers, and
    an Application Load Balancer does not ask: it takes certificates of targets that are self-signed or over
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html, "Routing
    configuration"). That the task is the task follows from the security groups. The key is in the memory of this
    process and of those that it forks, and has no name in any file system.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The clock of the other side may be behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # OpenSSL's context takes files alone; this one is in memory, and gone when it is closed.
    with os.fdopen(os.memfd_create("tls"), "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context
