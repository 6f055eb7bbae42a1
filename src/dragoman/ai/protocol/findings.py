"""The outcome of judging a document: errors, warnings, and whether it may be used."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ValidationResult:
    """Errors and warnings in the order they were found; true when valid.

    `missing` are those of the errors that only say that a schema asks for more than is there.
    """

    valid: bool = True
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.valid

    def add_error(self, error: str) -> None:
        self.errors.append(error)
        self.valid = False

    def add_warning(self, warning: str) -> None:
        self.warnings.append(warning)

    def extend(self, other: ValidationResult) -> None:
        """Take over what another judge found."""
        self.errors += other.errors
        self.warnings += other.warnings
        self.missing += other.missing
        self.valid = self.valid and other.valid
