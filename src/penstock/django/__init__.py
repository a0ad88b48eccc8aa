"""What Penstock knows about Django. Nothing here imports Django before the application has done so."""
