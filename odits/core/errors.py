"""The one exception that users see."""


class OditsError(Exception):
    """Something the user can mend: its message is one clear sentence and is shown as it is, without a traceback."""


class StoreError(OditsError):
    """A store that can't be reached, or doesn't hold what was asked for; the message never holds a credential."""
