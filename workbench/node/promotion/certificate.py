"""The certificate: what was tested is what went live, and under which conditions."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from workbench.model.display import fitted, format_ns, grid_html
from workbench.node.promotion.checklist import Check
from workbench.node.promotion.evidence import Evidence
from workbench.node.promotion.rules import PromotionRules
from workbench.trading.actor import Actor
from workbench.trading.code_identity import CodeIdentity, differences, identify


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion was decided on.

    Attributes:
        trader_id: Whose node.
        strategy_id: The strategy's name in it.
        class_name: Its class.
        account_id: The account its orders go to.
        code: The identity of its code, its parameters and what they depend on.
        evidence: What it has shown in the sandbox.
        rules: What was asked for.
        limits: What risk enforces, as JSON.
        checks: The points of the checklist.
        position: What became of the simulated position, `close` or `open`.
        by: Who promoted it: user and host.
        ts_ns: When, on the node's clock, nanoseconds.
        digest: SHA-256 of all of the above, hexadecimal.
    """

    trader_id: str
    strategy_id: str
    class_name: str
    account_id: str
    code: CodeIdentity
    evidence: Evidence
    rules: PromotionRules
    limits: dict[str, Any]
    checks: tuple[Check, ...]
    position: str
    by: str
    ts_ns: int
    digest: str = ""

    def signed(self) -> Certificate:
        """Return it with its digest, as it is when it is read again."""
        read = Certificate.from_dict(self.to_dict())
        return msgspec.structs.replace(read, digest=read._digest())

    def _digest(self) -> str:
        bare = msgspec.structs.replace(self, digest="")
        return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()

    def verify(self, strategy: Actor | None = None) -> list[str]:
        """Return what does not hold, a sentence each; empty where it is as it was written.

        Args:
            strategy: Whose code is compared with that which was certified; None for none.
        """
        problems: list[str] = []
        if self.digest != self._digest():
            problems.append("the certificate was changed after it was written")
        if strategy is not None:
            problems += differences(self.code, identify(strategy))
        return problems

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return msgspec.json.decode(msgspec.json.encode(self))

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> Certificate:
        """Return the one that `to_dict` made.

        Raises:
            msgspec.ValidationError: If it is none.
        """
        return msgspec.convert(fields, Certificate, strict=False)

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"{self.strategy_id} to {self.account_id}, {format_ns(self.ts_ns)}, by {self.by}; code"
            f" {self.code.fingerprint[:12]}; {self.evidence}"
        )

    def __repr__(self) -> str:
        """Return it on a line."""
        return f"<Certificate {fitted(str(self), 160)}>"

    def _repr_html_(self) -> str:
        rows = [
            ("strategy", f"{self.strategy_id} ({self.class_name})"),
            ("account", self.account_id),
            ("when", format_ns(self.ts_ns)),
            ("by", self.by),
            ("code", self.code.fingerprint),
            ("parameters", ", ".join(f"{k}={v}" for k, v in self.code.parameters.items())),
            ("evidence", str(self.evidence)),
            ("limits", ", ".join(f"{k}={v}" for k, v in self.limits.items() if v is not None)),
            ("depends on", ", ".join(f"{k} {v}" for k, v in self.code.dependencies.items())),
            ("points", "; ".join(check.name for check in self.checks)),
            ("digest", self.digest),
        ]
        return grid_html(("", "certificate"), rows)
