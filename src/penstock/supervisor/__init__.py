"""Binds, starts, watches, restarts. Never loads the application's code."""
