"""What stops a command: one message for people and an exit code. `main` prints it; nothing else ends the process."""

SAID_NO = 1
"""The API or the machine refused: the command was right, the answer is no."""
CANNOT_ASK = 2
"""Wrong usage, or nobody to ask: the API is unreachable or not configured."""


class Failure(Exception):
    """``message`` says what is wrong and what to do, without secrets; ``exit_code`` is what the shell sees."""

    def __init__(self, message: str, exit_code: int = CANNOT_ASK) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
