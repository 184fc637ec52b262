"""A setting of a policy: its type, its range, its default, and a sentence that says what it does.

The table of all settings is ``sql/policy_settings.toml``; `bookingdb.policy` is made from it.
"""

from typing import Literal, NamedTuple

Type = Literal["integer", "interval", "boolean", "choice", "time zone"]


class Setting(NamedTuple):
    """A setting of a policy. Intervals are texts, as SQL writes them.

    Attributes:
        unit: what an integer counts, for example ``minutes``; None for other types.
        minimum: the least value that is accepted; None where the type says what is.
        maximum: the greatest value that is accepted; None where the type says what is.
        default: the value in a new installation.
        sentence: what the setting does.
        choices: the values of a choice; empty for other types.
    """

    name: str
    type: Type
    sentence: str
    default: int | str
    unit: str | None = None
    minimum: int | str | None = None
    maximum: int | str | None = None
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """The values that are accepted.

        >>> Setting("pause", "integer", "A pause lasts this long.", 5, "minutes", 0, 60).range
        '0 to 60 minutes'
        """
        match self.type:
            case "boolean":
                return "true or false"
            case "time zone":
                return "an IANA name"
            case "choice":
                return " or ".join(self.choices)
            case _:
                unit = f" {self.unit}" if self.unit else ""
                return f"{self.minimum} to {self.maximum}{unit}"
