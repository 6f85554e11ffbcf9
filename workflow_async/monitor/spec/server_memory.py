"""What a client has learned about its server, as a value that another process continues with. Pure."""

from attrs import asdict, fields, frozen


@frozen(kw_only=True)
class ServerMemory:
    """The pauses that a server has asked for, its load, and what failed there. Instants are seconds since 1970."""

    paused_until: float = 0.0
    factor: float = 1.0
    """The load factor: all delays are longer by it."""
    refused_at: float = 0.0
    eased_at: float = 0.0
    refusals: int = 0
    announced: float = 0.0
    """Seconds of pauses that the server has announced so far."""
    announced_until: float = 0.0
    list_rows: int = 0
    list_failures: int = 0
    list_unanswered: bool = False
    only_list: int = 0
    unchanged_lists: int = 0
    distrusts_list: bool = False
    list_disabled_until: float = 0.0
    bulk_failures: int = 0
    bulk_disabled_until: float = 0.0

    def merge(self, other: "ServerMemory") -> "ServerMemory":
        """Return what is known if two processes have learned about one server. The more careful value counts."""
        mine, theirs = asdict(self), asdict(other)
        return ServerMemory(**{each.name: max(mine[each.name], theirs[each.name]) for each in fields(ServerMemory)})
