"""`NothingToDo`: what a task raises where there is nothing to train."""


class NothingToDo(Exception):
    """There is nothing to train, as the message says."""
