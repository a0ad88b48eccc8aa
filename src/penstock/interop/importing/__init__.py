"""From the configuration of another server to penstock.toml, and a report of what became of each line of it."""
