"""Fixtures and marks that several test files share."""

pytest_plugins = ["browser", "command_line", "covering", "made_once", "pytester"]
