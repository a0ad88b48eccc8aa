"""At home among other servers: what comes from them, and what goes to them."""
