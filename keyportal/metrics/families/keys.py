"""Metrics of the server's key rings and of developers' keys."""

from typing import Final

from integrity.rings import index_ring, sealing_ring, signing_ring
from keyportal.metrics.metric import Combine, Labels, gauge
from keyportal.metrics.survey import seconds_since, survey

RING: Final = ("ring",)


def _sizes() -> dict[Labels, int]:
    sizes = {
        "sealing": len(list(sealing_ring())),
        "index": len(list(index_ring())),
        "signing": len(list(signing_ring())),
    }
    return {(ring,): size for ring, size in sizes.items()}


def _ages() -> dict[Labels, float]:
    return {(ring,): seconds_since(at) or 0.0 for ring, at in survey().rings_since.items()}


METRICS: Final = (
    gauge(
        "keyportal_ring_key_age_seconds",
        says="Age of the key of each ring that writes: since a server first started with it.",
        advice="Older than your rule for rotation: put a new key first (docs/configuration.md).",
        read=_ages,
        combine=Combine.MAX,
        labels=RING,
    ),
    gauge(
        "keyportal_ring_keys",
        says="Keys of each ring in the settings.",
        advice="Different on two hosts: their settings differ. More than two for long: a rotation was not finished.",
        read=_sizes,
        combine=Combine.MAX,
        labels=RING,
    ),
    gauge(
        "keyportal_keys_expiring",
        says="Keys that are neither revoked nor expired, and expire within this time.",
        advice="Their owners are notified. Ask those whose services you depend on.",
        read=lambda: {(within,): count for within, count in survey().expiring.items()},
        combine=Combine.MAX,
        labels=("within",),
    ),
    gauge(
        "keyportal_former_secrets",
        says="Former secrets of rotated keys whose overlap goes on.",
        advice="None needed: they end by themselves.",
        read=lambda: survey().former_secrets,
        combine=Combine.MAX,
    ),
    gauge(
        "keyportal_former_secrets_in_use",
        says="Those of them that were used since they were replaced.",
        advice="Their clients will be refused when the overlap ends. The pages of the keys show from where they call.",
        read=lambda: survey().former_secrets_in_use,
        combine=Combine.MAX,
    ),
)
