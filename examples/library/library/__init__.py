"""A small lending library: the example project. It refuses to know which server it runs under."""
