"""What a study says of its own list of observed events; no number of its scan depends on it."""

from pydantic import Field, field_validator

from engine.physics import event_list
from engine.study.section import Positive, Section


class Data(Section):
    """`columns`: known names (`engine.physics.event_list`), which say the unit, -> columns of the file; `exposure_ty`:
    of the list, one of the grid's; the grid's own where it has but one."""

    columns: dict[str, str] = Field(default_factory=dict)
    exposure_ty: Positive | None = None

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        event_list.check_names(columns)
        return columns
