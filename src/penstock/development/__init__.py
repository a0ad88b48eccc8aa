"""The development server: one process that serves, one that watches, one that starts anew. Never used by `serve`."""
