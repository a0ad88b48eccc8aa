"""For whoever runs a server: health, metrics, status, and a live table. Never runs in a worker."""
