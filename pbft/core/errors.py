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


class RejectedError(PbftError):
    """The service refused an operation, identically at every correct replica."""


class UnansweredError(PbftError):
    """No quorum of matching replies in time: the outcome of the operation is not known."""


class RequestTooLargeError(PbftError):
    """An operation above the configured limit; it was never sent."""
