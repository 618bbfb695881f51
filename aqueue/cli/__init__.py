"""The `aqueue` command: a thin layer over the public interface. It must not know how Redis is used."""
