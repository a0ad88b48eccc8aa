"""Several sites behind one address: each in a world of its own, started, watched and routed to by one parent."""
