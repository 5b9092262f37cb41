"""Everything this library raises on purpose, in one tree. Each message says what to do next."""


class PbftError(Exception):
    """Root of all errors that a caller of this library can meet."""


class ConfigurationError(PbftError):
    """A configuration that no replica may run with; the message names the field and its rule."""


class DecodeError(PbftError):
    """Bytes that are not exactly one canonical message within its limits."""


class RecordError(PbftError):
    """Durable records that do not belong together: the replica must not start from them."""


class StorageError(PbftError):
    """The disk under a replica failed, or what it holds cannot be trusted: the replica stops."""


class ForgottenVotesError(PbftError):
    """A peer showed a vote of this replica that it does not remember: its disk is lost or old."""


class ServiceError(PbftError):
    """The replicated service broke its contract (a snapshot it cannot restore, a wrong type)."""


class Refusal(PbftError):
    """An operation that a service refuses in its own words."""


class HaltError(PbftError):
    """This replica cannot execute what was ordered, and others can: it stops where it is."""


class InvalidArgumentsError(PbftError):
    """A call, or a value, that is not what the method or the attribute is annotated with."""


class RejectedError(PbftError):
    """The service refused an operation, identically at every correct replica."""


class UnknownCommandError(RejectedError):
    """The service has no such command in its active version."""


class NotPermittedError(RejectedError):
    """The cluster file does not let this client call this command."""


class ApplicationError(RejectedError):
    """Root of the errors that services define: raised by a command, it undoes what the command did
    and is raised again, with its arguments, at the caller."""


class UnansweredError(PbftError):
    """No quorum of matching replies in time: the outcome is not known.

    `key`: with it `Client.resolve` asks again, also in another process of the same client; none
    where nothing was sent, or it was a read: then nothing takes effect."""

    def __init__(self, text: str, key: str | None = None) -> None:
        super().__init__(text)
        self.key = key


class ForgottenOutcomeError(PbftError):
    """The replicas no longer know whether an operation took effect; it will not any more."""


class RequestTooLargeError(PbftError):
    """An operation above the configured limit; it was never sent."""
