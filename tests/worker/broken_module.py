"""A module that cannot be imported."""

raise ValueError("this module does not like to be imported")
