"""The errors that users see."""


class OditsError(Exception):
    """Something the user can mend: its message is one clear sentence and is shown as it is, without a traceback."""


class ItemError(OditsError):
    """One item of many that can't be used, and why, in a sentence that names it; the others can."""


class StoreError(OditsError):
    """A store that can't be reached, or doesn't hold what was asked for; the message never holds a credential."""


class BusyError(StoreError):
    """Another process is at the same work, and did not end within the time that one was willing to wait."""


class StoppedError(OditsError):
    """The user stopped the work; what is done is stored."""


class WriteError(OditsError, OSError):
    """A file that can't be written, and why. An OSError too: a cache that can't be kept costs speed, not the answer."""
