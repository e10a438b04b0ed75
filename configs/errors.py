"""The one error that means "the user's input is at fault"; everything else is a fault of ours or of the world."""

from configs.credentials import without_credentials


class _PlainError(Exception):
    """An error whose message is without credentials, wherever it is shown."""

    def __init__(self, *message: object) -> None:
        super().__init__(*(without_credentials(part) if isinstance(part, str) else part for part in message))


class InputError(_PlainError):
    """Config, data or contract is wrong: the message names the value, the place and the remedy. Exit code 2."""


class ContractError(InputError):
    """The data break their contract: by hand an error like any other, but a schedule waits until data or contract are mended."""


class InfraError(_PlainError):
    """The world is at fault (disk, server, memory): the message says what, where and what to do. Exit code 1."""


class StoppedError(Exception):
    """A signal stopped the work: the message says what is kept and how to go on. Exit code 128 + `signal`."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message, signal)
        self.signal = signal

    def __str__(self) -> str:
        return str(self.args[0])
